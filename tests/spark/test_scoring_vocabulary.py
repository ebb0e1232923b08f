"""An indexer that can match no value of its column is told of when the version is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.feature import StringIndexerModel
from pyspark.sql import SparkSession
from structlog.testing import capture_logs

from streaming.models.ref import ModelVersion
from streaming.models.signature import Column, ColumnType, Signature
from streaming.scoring.stages import flatten
from streaming.scoring.vocabulary import unmatched, warn_of_vocabularies
from tests.support.models import SIGNATURE, fit_pipeline, load, package


def pipeline(*stages: Any) -> tuple[Any, ...]:
    return flatten(PipelineModel(list(stages))._to_java())


@pytest.mark.parametrize(
    ("labels", "signature", "warns"),
    [
        pytest.param(["1", "2", "-3"], "double", True, id="whole numbers, and the signature says double"),
        pytest.param(["1", "2"], "float", True, id="whole numbers, and the signature says float"),
        pytest.param(["1.0", "2.0"], "long", True, id="doubles, and the signature says long"),
        pytest.param(["yes", "no"], "integer", True, id="words, and the signature says integer"),
        pytest.param(["1.0", "1.0E20", "1.0E-5"], "double", False, id="doubles"),
        pytest.param(["1", "2"], "integer", False, id="whole numbers"),
        pytest.param(["1", "2"], "string", False, id="digits in text"),
        pytest.param(["1", "2.5"], "double", False, id="one of them can match"),
    ],
)
def test_a_vocabulary_that_cannot_match_its_column_is_found(
    labels: list[str], signature: ColumnType, warns: bool, spark: SparkSession
) -> None:
    names = StringIndexerModel.from_arrays_of_labels([["x"], labels], ["name", "code"], ["name_index", "code_index"])
    # The input of this one is no column of an event, though no index can match it.
    again = StringIndexerModel.from_labels(["x"], "code_index", "again")
    columns = (Column("name", "string"), Column("code", signature), Column("code_index", "double"))
    assert list(unmatched(pipeline(names, again), Signature(columns))) == (
        [("code", signature, labels)] if warns else []
    )


def test_the_warning_names_the_version_and_the_column(spark: SparkSession) -> None:
    indexer = StringIndexerModel.from_labels(["AA", "UA"], "carrier", "carrier_index")
    columns = Signature((Column("carrier", "double"), *SIGNATURE.columns[1:]))
    with capture_logs() as lines:
        warn_of_vocabularies(pipeline(indexer), columns, ModelVersion("tiny", 3))
    (line,) = lines
    assert "indexer" in line["event"]
    assert (line["log_level"], line["version"], line["column"]) == ("warning", "tiny v3", "carrier")


@pytest.mark.long
def test_a_version_with_such_a_vocabulary_is_served_with_a_warning(spark: SparkSession, tmp_path: Path) -> None:
    fitted = fit_pipeline(spark, handle_invalid="keep")
    columns = Signature((Column("carrier", "double"), *SIGNATURE.columns[1:]))
    with capture_logs() as lines:
        load(spark, package(fitted, tmp_path, 3, columns)).scorer.release()
    (line,) = [line for line in lines if "indexer" in line["event"]]
    assert (line["log_level"], line["version"], line["column"]) == ("warning", "tiny v3", "carrier")
