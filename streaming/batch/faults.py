"""Which file is at fault where a unit cannot be read."""

from __future__ import annotations

from urllib.parse import unquote

from streaming.batch.plan import Unit
from streaming.spark.exceptions import jvm_messages


def unreadable(unit: Unit, problem: BaseException) -> str:
    """Return the file that Spark's exceptions name, and if they name none all files of the unit."""
    messages = [str(problem), *jvm_messages(problem)]
    texts = [*messages, *map(unquote, messages)]
    named = [path for path in unit.paths if any(path in text for text in texts)]
    # One path may begin another, which is then the one that is meant.
    whole = [path for path in named if not any(other != path and other.startswith(path) for other in named)]
    if len(whole) == 1:
        return whole[0]
    return f"unit {unit.number} ({', '.join(unit.paths)})"
