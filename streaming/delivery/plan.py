"""What a batch's writing tasks are told: it travels to the executors with the closure."""

from __future__ import annotations

from dataclasses import dataclass, field

from streaming.delivery.envelope import Stamp
from streaming.delivery.marks import Writer
from streaming.failpoints import OFF, Failpoints
from streaming.offsets import Ranges


@dataclass(frozen=True)
class Target:
    """An output topic: its number of partitions, and the broker's limit for one record in bytes."""

    topic: str
    partitions: int
    max_record_bytes: int


@dataclass(frozen=True)
class Targets:
    """Where the two kinds of output go, and the marks that are kept beside the group's."""

    predictions: Target
    dead_letters: Target
    progress: Target


@dataclass(frozen=True)
class Limits:
    """What bounds a transaction: its collected bytes, and its time in milliseconds."""

    max_bytes: int
    transaction_timeout_ms: int

    def client(self) -> dict[str, str]:
        """Return the producer settings that follow from the bounds."""
        return {
            "acks": "all",
            "enable.idempotence": "true",
            "transaction.timeout.ms": str(self.transaction_timeout_ms),
            "message.timeout.ms": str(max(self.transaction_timeout_ms - 5_000, 1_000)),
            "queue.buffering.max.messages": "1000000",
            "queue.buffering.max.kbytes": "1048576",
            "message.max.bytes": "1000000000",  # the topic's limit is checked before, with a better answer
            "linger.ms": "5",
        }


@dataclass(frozen=True)
class WritePlan:
    """One batch's orders. ``client`` is librdkafka's configuration and may hold secrets: it is never logged.

    ``plan`` is the ledger's name for the decision which version scores these ranges.
    """

    client: dict[str, str] = field(repr=False)
    writer: Writer
    plan: str
    stamp: Stamp
    ranges: Ranges
    targets: Targets
    limits: Limits
    failpoints: Failpoints = OFF
