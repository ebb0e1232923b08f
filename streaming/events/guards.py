"""Values a pipeline would throw on, known before it is run: one bad row must not fail its whole batch.

Each class implements :class:`streaming.models.seams.Guard`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.dead_letter import Reason


@dataclass(frozen=True)
class NotNull:
    """A stage throws on a null in this column."""

    column: str
    reason: Reason = Reason.NULL_FEATURE

    def fails(self, value: Column) -> Column:
        """Return true where the pipeline would throw."""
        return value.isNull()

    def allows(self, value: Any) -> bool:
        """Say the same of a value at hand."""
        return value is not None

    def examples(self) -> Iterator[Any]:
        """Yield values that may be allowed."""
        yield from ()


@dataclass(frozen=True)
class InVocabulary:
    """An indexer throws on a category that it did not see when it was fitted."""

    column: str
    categories: tuple[str, ...]
    reason: Reason = Reason.UNSEEN_CATEGORY

    def fails(self, value: Column) -> Column:
        """Return true where the pipeline would throw; a null is :class:`NotNull`'s."""
        return ~value.cast("string").isin(list(self.categories))

    def allows(self, value: Any) -> bool:
        """Say the same of a value at hand."""
        return value in self.examples()

    def examples(self) -> Iterator[Any]:
        """Yield the categories, as text and as the number that the text is."""
        for category in self.categories:
            yield category
            yield from _numbers(category)


@dataclass(frozen=True)
class InRange:
    """A bucketizer throws outside its outermost splits, both included; a one-hot encoder's range has an open end."""

    column: str
    low: float
    high: float
    open_end: bool = False
    zero_below: bool = False
    """-0.0 is below a range that begins with 0.0, as Java's search for a bucket has it."""
    reason: Reason = Reason.UNSEEN_CATEGORY

    def fails(self, value: Column) -> Column:
        """Return true where the pipeline would throw."""
        above = value >= F.lit(self.high) if self.open_end else value > F.lit(self.high)
        outside = (value < F.lit(self.low)) | above
        return outside | (value.cast("string") == "-0.0") if self.zero_below else outside

    def allows(self, value: Any) -> bool:
        """Say the same of a value at hand."""
        return bool(self.low <= value <= self.high and not (self.open_end and value == self.high))

    def examples(self) -> Iterator[Any]:
        """Yield the number next to zero, then those at both ends, whole ones first."""
        yield min(max(0.0, self.low), self.high)
        if math.isfinite(self.low):
            yield from (float(math.ceil(self.low)), self.low)
        if math.isfinite(self.high):
            yield float(math.floor(self.high))


@dataclass(frozen=True)
class InCategories:
    """A vector indexer throws on a number that it did not see; zero is left to it, which it may not look at."""

    column: str
    categories: tuple[float, ...]
    reason: Reason = Reason.UNSEEN_CATEGORY

    def fails(self, value: Column) -> Column:
        """Return true where the pipeline would throw; a null is :class:`NotNull`'s."""
        return ~value.cast("double").isin([0.0, *self.categories])

    def allows(self, value: Any) -> bool:
        """Say the same of a value at hand."""
        return value in self.categories

    def examples(self) -> Iterator[Any]:
        """Yield the categories."""
        yield from self.categories


def _numbers(text: str) -> Iterator[float]:
    try:
        yield float(text)
    except ValueError:
        return
