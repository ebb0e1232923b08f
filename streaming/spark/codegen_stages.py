"""A physical plan's compiled stages cut into parts that the JVM can compile well.

Spark puts a chain of projections into one method. HotSpot interprets a method of over 8,000 bytes for ever, unless it
was started with :data:`FLAG`; and of a very large one its optimising compiler makes less than of several smaller ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import takewhile
from typing import Any

from pyspark.sql import SparkSession

from streaming.spark.session_settings import settings_meanwhile

FLAG = "-XX:-DontCompileHugeMethods"
LIMIT = "spark.sql.codegen.hugeMethodLimit"
"""Above so many bytes of code in a method, Spark gives a stage up and makes code for each projection in each task."""
_WHOLE = "spark.sql.codegen.wholeStage"
_UNLIMITED = "65535"
_STAGE = "WholeStageCodegenExec"
_INPUT = "InputAdapter"
_PACKAGE = "org.apache.spark.sql.execution"
_MOST = 3
"""Projections in one stage. Of 1, 3, 5 and all of some twelve, 3 and 5 were the fastest, by a third."""


def allow_large(session: SparkSession) -> None:
    """Let stages of any size be compiled, if the JVMs that run tasks do so, too."""
    where = "driver" if str(session.sparkContext.master).startswith("local") else "executor"
    options = session.sparkContext.getConf().get(f"spark.{where}.extraJavaOptions", "")
    if FLAG in str(options).split():
        session.conf.set(LIMIT, _UNLIMITED)


def compiling(session: SparkSession, enabled: bool) -> AbstractContextManager[None]:
    """Let what is planned meanwhile have compiled stages, or none."""
    return settings_meanwhile(session, {_WHOLE: str(enabled).lower()})


def cut(session: SparkSession, plan: Sequence[Any]) -> list[Any]:
    """Return a plan's nodes, from the top to above the leaf, with its compiled stages cut.

    The nodes are to be put upon each other anew; what they have for a child now does not matter.
    """
    jvm: Any = session._jvm
    make_stage, make_input = (getattr(jvm, f"{_PACKAGE}.{name}") for name in (_STAGE, _INPUT))
    upwards = list(plan)[::-1]
    names = [_name(node) for node in upwards]
    # The lowest stage may begin at the leaf, without an adapter.
    compiled = _STAGE in names and _INPUT not in takewhile(lambda name: name != _STAGE, names)
    stages: list[Any] = []
    length = 0
    for node, name in zip(upwards, names, strict=True):
        if name in (_STAGE, _INPUT):
            compiled, length = name == _INPUT, 0
        elif compiled:
            if length == _MOST:
                stages += [make_stage(node, 0), make_input(node)]
                length = 0
            length += 1
        stages.append(node)
    return stages[::-1]


def _name(node: Any) -> str:
    return str(node.getClass().getSimpleName())
