"""How deep an event is, before anything that calls itself for each level looks at it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from streaming.events.nesting import MAX_DEPTH, is_shallow
from streaming.formats.json.strict import depth
from tests.support.commands import ROOT, environment
from tests.support.damage import drawn

TEXTS = st.text(st.sampled_from('[]{}"\\,: a\n\u00e9'), max_size=5)
TREES = st.recursive(
    TEXTS | st.none(), lambda tree: st.lists(tree, max_size=3) | st.dictionaries(TEXTS, tree, max_size=3)
)
WARY = (
    "-XX:TieredStopAtLevel=1 -Xss512k -XX:CompileCommand=quiet -XX:CompileCommand=exclude,org.apache.spark.types.*::*"
)
"""A JVM with a small stack that never compiles what reads a VARIANT: its calls take the most room that they can."""


@st.composite
def about_the_limit(draw: st.DrawFn) -> str:
    """A document with brackets in its strings, whose deepest place is about the limit and not alone."""
    tree: Any = draw(TREES)
    for _ in range(MAX_DEPTH + draw(st.integers(-1, 1)) - depth(json.dumps(tree))):
        tree = draw(st.sampled_from(([tree], {"[": tree}, [{}, tree, []], [tree, "]"])))
    return json.dumps(tree)


def judged(spark: SparkSession, texts: Sequence[str]) -> list[bool]:
    rows = spark.createDataFrame([(text,) for text in texts], "text string").select(is_shallow(F.col("text"))).collect()
    return [row[0] for row in rows]


def test_levels_are_counted_as_brackets_outside_of_strings_are(spark: SparkSession) -> None:
    texts = drawn(about_the_limit(), 200) + drawn(TREES.map(json.dumps), 100)
    assert judged(spark, texts) == [depth(text) <= MAX_DEPTH for text in texts]
    assert {depth(text) - MAX_DEPTH for text in texts} >= {-1, 0, 1}


@pytest.mark.parametrize(
    ("text", "shallow"),
    [
        ('{"a":"' + "\\\\" * 5_000_000 + '"}', True),
        pytest.param("[" + "{}," * 3_000_000 + "[]]", True, marks=pytest.mark.long),
        pytest.param("[" * 101 + '"[]",' * 1_000_000 + "0" + "]" * 101, False, marks=pytest.mark.long),
        ("[" * 5_000_000 + "]" * 5_000_000, False),
    ],
    ids=["escapes", "side by side", "deep and long", "very deep"],
)
def test_ten_megabytes_take_no_stack(spark: SparkSession, text: str, shallow: bool) -> None:
    assert judged(spark, [text]) == [shallow]


@pytest.mark.long
def test_no_deep_event_ends_a_jvm_that_has_compiled_nothing_yet() -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/spark/test_malformed.py",
            "-k",
            "every_case and Spark",
        ],
        cwd=ROOT,
        env=environment(JAVA_TOOL_OPTIONS=WARY),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5_000:]
