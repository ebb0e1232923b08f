"""Which records of the lookup table a batch reads: decided once, in the ledger, and the same for every try."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

REDIS = "redis"
"""What a plan calls Redis as :attr:`LookupState.store`."""


@dataclass(frozen=True)
class LookupState:
    """The table as it is below an offset of each of its partitions.

    Attributes:
        topic_id: of the table's topic; another one means that the topic was made anew.
        ends: the offset of each partition, in order, below which records count.
        at_ms: the time from which ages are counted, in milliseconds since 1970: when the batch was planned.
        outage: why nothing can be looked up, in words; empty where the table can be read.
        store: what was asked in the place of a topic, such as ``redis``. It has no history, so its states never return.
    """

    topic_id: str
    ends: tuple[int, ...]
    at_ms: int
    outage: str = ""
    store: str = ""

    @classmethod
    def unavailable(cls, why: str, at_ms: int) -> LookupState:
        """Return the state in which every lookup is unavailable."""
        return cls("", (), at_ms, why)

    @classmethod
    def of_store(cls, store: str) -> LookupState:
        """Return the state of a store that has no history."""
        return cls("", (), 0, store=store)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a plan's record has it."""
        fields: dict[str, Any] = {"topic_id": self.topic_id, "ends": list(self.ends), "at_ms": self.at_ms}
        optional = {"outage": self.outage, "store": self.store}
        return {**fields, **{name: text for name, text in optional.items() if text}}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> LookupState:
        """Read it back."""
        topic_id, ends, at_ms = record["topic_id"], tuple(record["ends"]), record["at_ms"]
        return cls(topic_id, ends, at_ms, outage=record.get("outage", ""), store=record.get("store", ""))
