"""What a batch's writing tasks are told: it travels to the executors with the closure."""

from __future__ import annotations

from dataclasses import dataclass, field

from streaming.delivery.envelope import Stamp
from streaming.delivery.marks import Writer
from streaming.failpoints import OFF, Failpoints
from streaming.offsets import Ranges

NO_BOUND = 2**63 - 1
"""What Kafka's settings have for no bound, in milliseconds."""
_LARGEST_BATCH = 1_000_000
_FRAMING = 1_024
"""Bytes of a record batch beside its records."""


@dataclass(frozen=True)
class Target:
    """An output topic, and what its broker takes there.

    A ``compacted`` topic takes no record without a key. A timestamp may be ``behind_ms`` behind the broker's clock and
    ``ahead_ms`` ahead of it, in milliseconds.
    """

    topic: str
    partitions: int
    max_record_bytes: int
    compacted: bool = False
    behind_ms: int = NO_BOUND
    ahead_ms: int = NO_BOUND


@dataclass(frozen=True)
class Targets:
    """Where the two kinds of output go, and the marks that are kept beside the group's."""

    predictions: Target
    dead_letters: Target
    progress: Target

    @property
    def batch_bytes(self) -> int:
        """How much the producer may put into one batch: a topic's limit is a batch's, even of small records."""
        limits = (target.max_record_bytes for target in (self.predictions, self.dead_letters, self.progress))
        return max(1, min(_LARGEST_BATCH, *(limit - _FRAMING for limit in limits)))


@dataclass(frozen=True)
class Limits:
    """What bounds a transaction: its collected bytes, its time in milliseconds, and the bytes of one record batch."""

    max_bytes: int
    transaction_timeout_ms: int
    batch_bytes: int = _LARGEST_BATCH

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
            "batch.size": str(self.batch_bytes),
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
