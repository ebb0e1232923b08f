"""Which file is at fault where a unit cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from streaming.batch.plan import Unit


def unreadable(unit: Unit, problem: BaseException) -> str:
    """Return the file that Spark's exceptions name, and if they name none all files of the unit."""
    messages = list(_messages(problem))
    texts = [*messages, *map(unquote, messages)]
    named = [path for path in unit.paths if any(path in text for text in texts)]
    # One path may begin another, which is then the one that is meant.
    whole = [path for path in named if not any(other != path and other.startswith(path) for other in named)]
    if len(whole) == 1:
        return whole[0]
    return f"unit {unit.number} ({', '.join(unit.paths)})"


def _messages(problem: BaseException) -> Iterator[str]:
    """Yield what the exception and its causes in the JVM say, from the outside inwards."""
    yield str(problem)
    java: Any = getattr(problem, "java_exception", None) or getattr(problem, "_origin", None)
    while java is not None:
        yield str(java.toString())
        java = java.getCause()
