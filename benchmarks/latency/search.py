"""Which rates to try for the highest that a system keeps up with: doubled until it does not, then narrowed down."""

from __future__ import annotations

from collections.abc import Callable, Iterator

FIRST_RATE = 1_000
NARROWINGS = 4


def search(
    keeps_up: Callable[[int], bool], first: int = FIRST_RATE, narrowings: int = NARROWINGS
) -> Iterator[tuple[int, bool]]:
    """Yield rates and whether the system kept up; the highest that it kept up with is the result.

    >>> [rate for rate, _ in search(lambda rate: rate <= 2_600, narrowings=2)]
    [1000, 2000, 4000, 3000, 2500]
    """
    low, high = 0, first
    while keeps_up(high):
        yield high, True
        low, high = high, high * 2
    yield high, False
    for _ in range(narrowings):
        middle = (low + high) // 2
        sustained = keeps_up(middle)
        yield middle, sustained
        low, high = (middle, high) if sustained else (low, middle)
