"""A text column's values at training: which have a bin of their own, which are rare, and which count as new.

A later value is new if the reference does not have it. How many such rows there are when nothing changes is seen in the
reference itself: those of a value that only one window has were new when they came. They are counted as new ones, by
the argument of Good and Turing, or a column with a long tail of values would signal for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FREQUENT = 50
"""The number of values that have bins of their own."""
RARE = 1_000
"""So many more are listed, and share a bin. Of a column with more than that, new values and rare ones are not told
apart."""
FEWEST_WINDOWS = 8
"""With fewer windows in the reference a value counts as new if a single row has it."""


@dataclass(frozen=True)
class Value:
    """A value with its rows, and the first and the last window that has it; None where rows have no windows."""

    text: str
    rows: int
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class Vocabulary:
    """The ``frequent`` and the ``rare`` values, each in the order of their text."""

    frequent: tuple[str, ...]
    rare: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Sequence[tuple[str, int]]) -> Vocabulary:
        """Divide values, each with its rows. If they are more than can be listed, no rare ones are."""
        ordered = [text for text, _ in sorted(values, key=lambda value: (-value[1], value[0]))]
        frequent, others = ordered[:FREQUENT], ordered[FREQUENT:]
        return cls(tuple(sorted(frequent)), tuple(sorted(others)) if len(others) <= RARE else ())


def returning(rare: Sequence[Value], windows: int) -> tuple[str, ...]:
    """Return the rare values that were not new each time they came; ``windows`` is how many the reference has."""
    if windows < FEWEST_WINDOWS:
        return tuple(value.text for value in rare if value.rows > 1)
    return tuple(value.text for value in rare if value.first != value.last)
