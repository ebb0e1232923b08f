"""What Spark keeps private and Penstock relies on is as expected, and what moved is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from streaming.spark.symbols import SYMBOLS, Moved, moved
from tests.test_architecture import private_spark

_SCAN = "org.apache.spark.sql.execution.RDDScanExec"
_PRIVATE = re.compile(r"_\w+$|.*org\.apache\.spark\.(?!ml\b|sql\.types\b)")
_COPY = "copy(Seq, RDD, String, Partitioning, Seq, Option): RDDScanExec"
_TO_SEQ = "_to_seq(sc, cols, converter)"
ROOT = Path(__file__).resolve().parents[2]


def test_no_private_symbol_has_moved(spark: SparkSession) -> None:
    assert [str(symbol) for symbol in moved(spark)] == []


@pytest.mark.parametrize(
    ("owner", "member", "instead", "text"),
    [
        pytest.param(
            _SCAN,
            "copy(Seq, RDD, String): RDDScanExec",
            (_COPY,),
            f"x: {_SCAN} has no copy(Seq, RDD, String): RDDScanExec, but {_COPY}",
            id="a method takes more",
        ),
        pytest.param(_SCAN, "twice(): RDD", (), f"x: {_SCAN} has no twice(): RDD", id="no method"),
        pytest.param("org.apache.spark.Gone", "", None, "x: there is no org.apache.spark.Gone", id="no class"),
        pytest.param(
            "pyspark.sql.classic.column",
            "_to_seq(sc, cols)",
            (_TO_SEQ,),
            f"x: pyspark.sql.classic.column has no _to_seq(sc, cols), but {_TO_SEQ}",
            id="a function of Python takes more",
        ),
        pytest.param(
            "pyspark.sql.session.SparkSession",
            "_jgone",
            (),
            "x: pyspark.sql.session.SparkSession has no _jgone",
            id="no attribute",
        ),
        pytest.param("pyspark.sql.gone", "", None, "x: there is no pyspark.sql.gone", id="no module of Python"),
    ],
)
def test_a_symbol_that_moved_is_named(
    spark: SparkSession, owner: str, member: str, instead: tuple[str, ...] | None, text: str
) -> None:
    (symbol,) = moved(spark, {"x": {owner: (member,)}, "y": {_SCAN: (_COPY,)}})
    assert symbol == Moved("x", owner, member, instead)
    assert str(symbol) == text


def test_each_symbol_that_the_package_uses_is_in_its_table() -> None:
    """So that nothing private is used that no test looks after."""
    missing = []
    for file in sorted((ROOT / "streaming" / "spark").glob("*.py")):
        if file.stem == "symbols":
            continue
        owners = SYMBOLS.get(file.stem, {})
        members = {re.split(r"[(:]", member)[0] for expected in owners.values() for member in expected}
        missing += [
            f"{file.name}:{line} {name}"
            for name, line in private_spark(ast.parse(file.read_text("utf-8")))
            if _PRIVATE.match(name) and name not in members and not any(_names(name, owner) for owner in owners)
        ]
    assert missing == []


def _names(name: str, owner: str) -> bool:
    """Whether a text or a chain of attributes names a class, or a package on the way to it."""
    dotted = name.partition("org.apache.")[2]
    return bool(dotted) and owner.startswith(f"org.apache.{dotted}")
