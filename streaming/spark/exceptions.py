"""What the JVM's exceptions say, which Spark wraps around each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def jvm_messages(problem: BaseException) -> Iterator[str]:
    """Yield what an exception and its causes in the JVM say, from the outside inwards; nothing where it is Python's."""
    # Py4J's own exception has the first attribute, those that pyspark makes of it the second.
    java: Any = getattr(problem, "java_exception", None) or getattr(problem, "_origin", None)
    while java is not None:
        yield str(java.toString())
        java = java.getCause()
