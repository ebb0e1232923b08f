"""What a class of pyspark or of Spark's JVM has to offer, written as a line of text for each of its members.

Types bear their simple names. A constructor is written ``new(SparkPlan, int)``, a method ``execute(): RDD``, a field
``intervalMs: long``; a Python function ``_to_seq(sc, cols, converter)``, and an attribute ``_jdf``.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from pyspark.sql import SparkSession

_METHOD = re.compile(r"([\w.$\[\]]+) [\w.$]+\.([\w$]+)\(([^)]*)\)")
_CONSTRUCTOR = re.compile(r"[\w.$]+\(([^)]*)\)")
_FIELD = re.compile(r"([\w.$\[\]]+) [\w.$]+\.([\w$]+)$")
_ATTRIBUTE = re.compile(r"\b\w+\.(\w+)|^    (\w+)\b", re.MULTILINE)
"""What the source of a class uses of itself and of others; and what stands in its body."""


def members_of(session: SparkSession, name: str) -> frozenset[str] | None:
    """Return the members of a class, or of a Python module, by its full name; ``None`` where there is none."""
    return _python_members(name) if name.startswith("pyspark.") else _jvm_members(session, name)


def _jvm_members(session: SparkSession, name: str) -> frozenset[str] | None:
    jvm: Any = session._jvm
    try:
        # The loader that knows the connector's jars as well.
        loaded = jvm.java.lang.Thread.currentThread().getContextClassLoader().loadClass(name)
    except Exception as problem:
        if "ClassNotFoundException" in str(problem):
            return None
        raise

    def matches(pattern: re.Pattern[str], members: Any) -> Iterator[re.Match[str]]:
        # One text for all members: each call into the JVM takes half a millisecond, and there are hundreds.
        text = str(jvm.scala.runtime.ScalaRunTime.stringOf(members)).removeprefix("Array(").removesuffix(")")
        return (match for match in map(pattern.search, text.split(", ")) if match)

    methods = chain(matches(_METHOD, loaded.getMethods()), matches(_METHOD, loaded.getDeclaredMethods()))
    members = {f"{match[2]}({_simple(match[3])}): {_simple(match[1])}" for match in methods}
    members |= {f"new({_simple(match[1])})" for match in matches(_CONSTRUCTOR, loaded.getDeclaredConstructors())}
    return frozenset(
        members | {f"{match[2]}: {_simple(match[1])}" for match in matches(_FIELD, loaded.getDeclaredFields())}
    )


def _simple(types: str) -> str:
    """Leave the packages out.

    >>> _simple("java.util.List,int")
    'List, int'
    """
    return ", ".join(name.rpartition(".")[2] for name in types.split(",") if name)


def _python_members(name: str) -> frozenset[str] | None:
    module, _, last = name.rpartition(".")
    try:
        owner: Any = importlib.import_module(module)
        owner = getattr(owner, last) if hasattr(owner, last) else importlib.import_module(name)
    except ImportError:
        return None
    # Looked up without being asked for: a property would answer.
    static = ((key, inspect.getattr_static(owner, key)) for key in dir(owner))
    functions = {f"{key}({', '.join(taken)})" for key, value in static if (taken := _parameters(value)) is not None}
    attributes = {own or body for own, body in _ATTRIBUTE.findall(_sources(owner))}
    return frozenset(functions | attributes)


def _sources(owner: Any) -> str:
    """Return the source of a class and of those above it."""
    classes = inspect.getmro(owner) if inspect.isclass(owner) else ()
    return "".join(inspect.getsource(each) for each in classes if each.__module__.startswith("pyspark"))


def _parameters(member: Any) -> list[str] | None:
    """Return the names of a function's parameters, ``None`` for what is no function of Python's."""
    function = getattr(member, "__func__", member)
    return list(inspect.signature(function).parameters) if inspect.isfunction(function) else None
