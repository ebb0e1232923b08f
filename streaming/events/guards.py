"""Values a pipeline would throw on, known before it is run: one bad row must not fail its whole batch."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class InVocabulary:
    """An indexer throws on a category that it did not see when it was fitted."""

    column: str
    categories: tuple[str, ...]
    reason: Reason = Reason.UNSEEN_CATEGORY

    def fails(self, value: Column) -> Column:
        """Return true where the pipeline would throw; a null is :class:`NotNull`'s."""
        return ~value.cast("string").isin(list(self.categories))


@dataclass(frozen=True)
class InRange:
    """A bucketizer throws outside its outermost splits (both included)."""

    column: str
    low: float
    high: float
    reason: Reason = Reason.UNSEEN_CATEGORY

    def fails(self, value: Column) -> Column:
        """Return true where the pipeline would throw."""
        return (value < F.lit(self.low)) | (value > F.lit(self.high))


Guard = NotNull | InVocabulary | InRange
