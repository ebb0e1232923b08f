"""What was sent set against what came out: how much is missing, how much came twice, how much was never sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from streaming.accounting.records import Place

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Balance(Generic[Name]):
    """Names of events (places, or numbers): those without a result, those with more than one, and unknown ones.

    ``repeated`` and ``unexpected`` say how many results there are too many.
    """

    missing: frozenset[Name]
    repeated: Mapping[Name, int]
    unexpected: Mapping[Name, int]

    @property
    def duplicates(self) -> int:
        """How many results come after another one of the same event, known or not."""
        return sum(self.repeated.values())


def balance(sent: Collection[Name], results: Iterable[Name]) -> Balance[Name]:
    """Set the events that were sent against the event of each result.

    >>> balance({1, 2, 3}, [1, 1, 2, 9]).missing, balance({1, 2, 3}, [1, 1, 2, 9]).duplicates
    (frozenset({3}), 1)
    """
    events, times = frozenset(sent), Counter(results)
    repeated = {name: count - 1 for name, count in times.items() if count > 1}
    unexpected = {name: count for name, count in times.items() if name not in events}
    return Balance(events.difference(times), repeated, unexpected)


@dataclass(frozen=True)
class Account:
    """Every place that was published set against every place that was read back."""

    events_in: int
    predictions: int
    dead_letters: int
    missing: int
    duplicates: int
    unexpected: int

    @classmethod
    def of(cls, published: Iterable[Place], predictions: Collection[Place], dead: Collection[Place]) -> Account:
        """Count by place what is missing, what came twice and what was never published."""
        events = frozenset(published)
        balanced = balance(events, [*predictions, *dead])
        return cls(
            events_in=len(events),
            predictions=len(predictions),
            dead_letters=len(dead),
            missing=len(balanced.missing),
            duplicates=balanced.duplicates,
            unexpected=len(balanced.unexpected),
        )

    @property
    def balanced(self) -> bool:
        """Return whether each event came out exactly once and nothing else came out."""
        return self.missing == self.duplicates == self.unexpected == 0
