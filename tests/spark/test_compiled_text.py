"""Stages of text, and labels of real numbers, evaluated without Spark answer as Spark does."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LinearSVC, LogisticRegression, NaiveBayes, OneVsRest
from pyspark.ml.feature import (
    IDF,
    CountVectorizer,
    HashingTF,
    NGram,
    Normalizer,
    RegexTokenizer,
    StopWordsRemover,
    StringIndexer,
    Tokenizer,
    VectorAssembler,
)
from pyspark.ml.regression import LinearRegression
from pyspark.sql import DataFrame, SparkSession

from streaming.scoring.compiled.java_text import has_sure_lower_case
from streaming.scoring.compiled.program import compile_pipeline
from tests.spark.test_compiled_stages import ADDED, PREDICTED, compare
from tests.support.seeds import with_seeds

SCHEMA = "text string, a double, small float, late double, kind double, amount double"
EVENTS = pa.schema([("text", pa.string()), ("a", pa.float64()), ("small", pa.float32())])
TEXTS = [
    "Gate agent waved us through; boarding was on time",
    "no gate agent, no bags, NO information",
    " leading and  double  spaces ",
    "",
    " ",
    "tabs\tand\nlines\x0band\x0cforms\rhere",
    "no-break\u00a0space and line\u2028separator",
    "École d'été, ÅNGSTRÖM straße İstanbul",
    "numbers 12,5 and 1e3; a_b c.d",
    "emoji \U0001f6eb\U0001f6eb and \U0001d400\U0001d401 bold",
    "the the the bags",
    "bags " * 40,
]
NUMBERS = [1.0, -0.0, 0.0, 1e-3, 12345678.9, 1e7, 0.1, float("nan"), -2.5e-5, 1e22, 3.0, 1.7976931348623157e308]
SMALL = [1.5, -0.0, 0.0, 0.1, -2.5e-5]
ROWS: list[tuple[str, float, float]] = [
    (f"{text} {'late' if i % 3 else ''}", NUMBERS[(i + j) % 12], float(np.float32(SMALL[i % 5])))
    for j in range(3)
    for i, text in enumerate(TEXTS)
]


@pytest.fixture(scope="module")
def training(spark: SparkSession) -> DataFrame:
    rows = [(*row, float("late" in row[0]), float(i % 3), float(len(row[0]))) for i, row in enumerate(ROWS)]
    return spark.createDataFrame(rows, SCHEMA).coalesce(1).cache()


@dataclass(frozen=True)
class Case:
    """Stages and the columns to compare; those of a model where none is named."""

    stages: Callable[[], Sequence[Any]]
    outputs: tuple[str, ...] = ()
    ulps: int = 0


def terms() -> list[Any]:
    return [Tokenizer(inputCol="text", outputCol="t")]


def hashed(size: int, *, into: str = "features", binary: bool = False) -> HashingTF:
    return HashingTF(inputCol="t", outputCol=into, numFeatures=size, binary=binary)


def divided(pattern: str, *, gaps: bool = True, lowers: bool = True, least: int = 1) -> Case:
    return Case(
        lambda: [
            RegexTokenizer(
                inputCol="text", outputCol="t", pattern=pattern, gaps=gaps, toLowercase=lowers, minTokenLength=least
            ),
            hashed(1000, into="x"),
        ],
        ("t", "x"),
    )


CASES = {
    "words and their hashes": Case(lambda: [*terms(), hashed(4096, into="x")], ("t", "x")),
    "words of a pattern": divided(r"\W+", least=2),
    "words of many patterns": divided(r"[\s,.;]+|-", lowers=False, least=0),
    "matches of a pattern": divided(r"[a-z0-9]{2,5}|_", gaps=False),
    "words without the usual ones, in pairs": Case(
        lambda: [
            *terms(),
            StopWordsRemover(inputCol="t", outputCol="u"),
            StopWordsRemover(inputCol="t", outputCol="w", stopWords=["no", "Bags"], caseSensitive=True),
            NGram(inputCol="u", outputCol="pairs"),
            NGram(inputCol="w", outputCol="triples", n=3),
        ],
        ("u", "w", "pairs", "triples"),
    ),
    "a vocabulary": Case(
        lambda: [
            *terms(),
            CountVectorizer(inputCol="t", outputCol="x", minDF=2.0, minTF=2.0),
            CountVectorizer(inputCol="t", outputCol="y", vocabSize=8, minTF=0.2, binary=True),
            IDF(inputCol="x", outputCol="z", minDocFreq=2),
        ],
        ("x", "y", "z"),
    ),
    "a logistic regression on a quarter of a million hashes": Case(
        lambda: [
            *terms(),
            hashed(2**18, into="h"),
            IDF(inputCol="h", outputCol="features"),
            LogisticRegression(labelCol="late", maxIter=3),
        ],
        ulps=ADDED,
    ),
    "a linear regression on words and numbers": Case(
        lambda: [
            *terms(),
            hashed(2048, into="h"),
            VectorAssembler(inputCols=["small", "h"], outputCol="features", handleInvalid="keep"),
            LinearRegression(labelCol="amount", regParam=0.1, maxIter=3, solver="l-bfgs"),
        ],
        ulps=ADDED,
    ),
    "support vectors on words": Case(
        lambda: [*terms(), hashed(2048), LinearSVC(labelCol="late", maxIter=3)], ulps=ADDED
    ),
    "words by their norms": Case(
        lambda: [
            *terms(),
            hashed(2048, into="v"),
            *(
                Normalizer(inputCol="v", outputCol=name, p=p)
                for name, p in (("x", 1.0), ("y", 2.0), ("z", float("inf")))
            ),
        ],
        ("x", "y", "z"),
    ),
    "naive Bayes on words": Case(lambda: [*terms(), hashed(2048), NaiveBayes(labelCol="kind")], ulps=ADDED),
    "one against the rest on words": Case(
        lambda: [*terms(), hashed(2048), OneVsRest(labelCol="kind", classifier=LogisticRegression(maxIter=3))],
        ulps=ADDED,
    ),
    "real numbers as labels": Case(
        lambda: [
            StringIndexer(inputCols=["a", "small"], outputCols=["x", "y"], handleInvalid="keep"),
        ],
        ("x", "y"),
    ),
}
SEEDS = {
    "words without the usual ones, in pairs",
    "a vocabulary",
    "real numbers as labels",
}
"""What ``make test`` tries; ``make test-long`` tries the others."""


@pytest.mark.parametrize("case", with_seeds(CASES, SEEDS))
def test_text_compiled_answers_as_in_spark(training: DataFrame, tmp_path: Path, case: Case) -> None:
    model = Pipeline(stages=list(case.stages())).fit(training)
    model.write().save(f"file://{tmp_path}/model")
    answers_as(model, training, tmp_path / "model", case)


def answers_as(model: PipelineModel, training: DataFrame, saved: Path, case: Case) -> None:
    answers = model.transform(training)
    outputs = case.outputs or [name for name in PREDICTED if name in answers.columns]
    expected = [list(column) for column in zip(*answers.select(*outputs).collect(), strict=True)]
    columns = compile_pipeline(saved, EVENTS).run(batch([*ROWS]))
    for name, values in zip(outputs, expected, strict=True):
        if isinstance(values[0], list):
            assert columns.tokens(name) == values, name
        else:
            compare(name, columns, values, case.ulps)


def batch(rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    return pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(columns, EVENTS, strict=True)], schema=EVENTS
    )


def test_hashes_of_a_model_that_spark_2_has_saved_are_those_of_spark_2(training: DataFrame, tmp_path: Path) -> None:
    case = Case(lambda: [*terms(), hashed(4096, into="x")], ("x",))
    Pipeline(stages=list(case.stages())).fit(training).write().save(f"file://{tmp_path}/model")
    metadata = next(tmp_path.glob("model/stages/1_*/metadata/part-*"))
    text = metadata.read_text()
    metadata.write_text(text.replace('"sparkVersion":"4', '"sparkVersion":"2'))
    assert metadata.read_text() != text
    metadata.with_name(f".{metadata.name}.crc").unlink()
    answers_as(PipelineModel.load(f"file://{tmp_path}/model"), training, tmp_path / "model", case)


def test_every_letter_whose_lower_case_is_sure_has_the_same_one_in_java(spark: SparkSession, tmp_path: Path) -> None:
    letters = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cs", "Cn", "Co")]
    cased = [letter for letter in letters if letter.lower() != letter and has_sure_lower_case(letter)]
    assert len(cased) > 1_000
    rows = [(f"a{letter}b {letter}", 0.0, 0.0) for letter in cased]
    model = Pipeline(stages=terms()).fit(frame := spark.createDataFrame(rows, "text string, a double, small float"))
    model.write().save(f"file://{tmp_path}/model")
    expected = [row.t for row in model.transform(frame.coalesce(1)).select("t").collect()]
    assert compile_pipeline(tmp_path / "model", EVENTS).run(batch(rows)).tokens("t") == expected
