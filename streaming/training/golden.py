"""Choosing golden rows: events whose output a candidate must reproduce before it may serve."""

from __future__ import annotations

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.signature import Signature

COUNT = 6
UNSEEN = "never seen at training"


def golden_rows(spark: SparkSession, model: PipelineModel, frame: DataFrame, signature: Signature) -> GoldenRows:
    """Score chosen rows of ``frame`` with ``model``, which should be the saved model loaded again.

    The rows are some real ones, always the same for the same data, one of them again without its optional columns, and
    again with categories the model has never seen.
    """
    names = [f"`{name}`" for name in signature.names]
    real = frame.select(*names).orderBy(F.xxhash64(*names)).limit(COUNT).collect()
    chosen = [row.asDict() for row in real] + _edge_cases(real[0], signature)
    schema = frame.select(*names).schema
    scored = model.transform(spark.createDataFrame([Row(**row) for row in chosen], schema)).collect()
    return GoldenRows(
        tuple(
            GoldenRow(features, float(row["prediction"]), tuple(float(p) for p in row["probability"]))
            for features, row in zip(chosen, scored, strict=True)
        )
    )


def _edge_cases(row: Row, signature: Signature) -> list[dict[str, object]]:
    features = row.asDict()
    bare = {c.name: features[c.name] if c.required else None for c in signature.columns}
    strange = {c.name: UNSEEN if c.type == "string" else features[c.name] for c in signature.columns}
    return [bare, strange]
