"""The guards of :mod:`streaming.events.guards` on single values: what a test allows, the same guard allows in a batch.

The reverse does not hold. A value that a test cannot judge exactly is left to the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from typing import Any

from streaming.events.guards import InCategories, InRange, InVocabulary, NotNull

SingleTest = Callable[[Any], bool]
"""A feature's value, ``None`` for null, to true where the pipeline surely does not throw on it."""


@singledispatch
def single_test(guard: object) -> SingleTest:
    """Return a guard's test.

    Raises:
        TypeError: ``guard`` is none of :mod:`streaming.events.guards`.
    """
    raise TypeError(f"{guard!r} is no guard")


@single_test.register
def _(_: NotNull) -> SingleTest:
    return lambda value: value is not None


@single_test.register
def _(guard: InVocabulary) -> SingleTest:
    categories = frozenset(guard.categories)

    def test(value: Any) -> bool:
        if isinstance(value, bool):
            return str(value).lower() in categories
        # The text of a real number is Java's to spell.
        return (value is None and bool(categories)) or (isinstance(value, str | int) and str(value) in categories)

    return test


@single_test.register
def _(guard: InRange) -> SingleTest:
    def test(value: Any) -> bool:
        if value is None:
            return True
        number = float(value)
        is_below = number < guard.low or (guard.zero_below and number == 0 and math.copysign(1.0, number) < 0)
        return not is_below and (number < guard.high if guard.open_end else number <= guard.high)

    return test


@single_test.register
def _(guard: InCategories) -> SingleTest:
    numbers = frozenset((0.0, *guard.categories))
    return lambda value: value is None or (not math.isnan(value) and float(value) in numbers)
