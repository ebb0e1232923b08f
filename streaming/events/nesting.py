"""How deep an event's JSON is, seen before a parser looks at it.

Spark's VARIANT calls itself for each level, several times where it copies. In a JVM that has not compiled that code yet
some 800 levels use up a thread's stack of 1 MB, and Jackson, beneath it, only stops at 1,000. A stack that overflows is
no failure of a task: Spark ends the process, and would again on the same event.
"""

from __future__ import annotations

from pyspark.sql import Column as Expr

MAX_DEPTH = 100
"""Levels of objects and arrays, the event itself included: a fifth of what 512 kB of stack were seen to bear."""

_MORE_BRACKETS = rf"\A(?:[^\[{{]*+[\[{{]){{{MAX_DEPTH + 1}}}+"
"""Finds as many opening brackets as are needed to be too deep."""
_OTHER = r'[^\[\]{}"]++|"(?:[^"\\]++|\\.)*+"'
"""What is no bracket: numbers, commas, blanks, or a whole string, in which brackets do not count."""


def _nested(levels: int) -> str:
    """Return a pattern that takes all JSON of so many levels and none that is deeper.

    Each part is possessive, which is to say that what was matched once is not tried again: the time is linear in the
    text's length, and Java's matcher goes along it in loops, calling itself for the levels of the pattern alone.
    """
    pattern = f"(?:{_OTHER})*+"
    for _ in range(levels):
        pattern = rf"(?:{_OTHER}|[\[{{]{pattern}[\]}}])*+"
    return rf"\A{pattern}\z"


_NOT_DEEPER = _nested(MAX_DEPTH)


def is_shallow(text: Expr) -> Expr:
    """Say of JSON whether it has no more than :data:`MAX_DEPTH` levels; of other text it says either."""
    # To count brackets costs a fifth of what the levels cost, and nearly all events have few.
    return ~text.rlike(_MORE_BRACKETS) | text.rlike(_NOT_DEEPER)
