"""Prints how many range guards a bucketizer of one column and one of several get: ``python -m tests.field.guards``."""

from __future__ import annotations

import sys

from pyspark.ml.feature import Bucketizer
from pyspark.sql import SparkSession

from streaming.events.guards import NotNull
from streaming.models.signature import Column, Signature
from streaming.scoring.stages import guards

SPLITS = [0.0, 1.0, 10.0]

if __name__ == "__main__":
    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    stages = {
        "single": Bucketizer(inputCol="x", outputCol="b", splits=SPLITS),
        "multi": Bucketizer(inputCols=["x"], outputCols=["b"], splitsArray=[SPLITS]),
    }
    for name, stage in stages.items():
        stage.setHandleInvalid("error")
        made = guards((stage._to_java(),), Signature((Column("x", "double", False),)))
        sys.stdout.write(f"{name} {sum(not isinstance(guard, NotNull) for guard in made)}\n")
    spark.stop()
