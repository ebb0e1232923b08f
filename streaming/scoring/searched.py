"""Events on which a version throws, found by halving: all others have their answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from streaming.errors import ScoringError

E = TypeVar("E")
T = TypeVar("T")


def searched(
    score: Callable[[Sequence[E]], list[T]], events: Sequence[E], thrown: Callable[[ScoringError], T]
) -> list[T]:
    """Return an answer to each event.

    Args:
        score: scores events together; raises ``ScoringError`` if the version throws on one of them.
        events: what is scored.
        thrown: says what becomes of an event on which it throws alone.
    """
    try:
        return score(events)
    except ScoringError as problem:
        if len(events) == 1:
            return [thrown(problem)]
    middle = len(events) // 2
    return [*searched(score, events[:middle], thrown), *searched(score, events[middle:], thrown)]
