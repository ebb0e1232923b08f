"""What a batch's writing tasks are told: it travels to the executors with the closure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from streaming.delivery.marks import Writer
from streaming.delivery.outcome import ArmOutcome
from streaming.failpoints import OFF, Failpoints
from streaming.lookup_state import LookupState
from streaming.offsets import Offsets, Ranges
from streaming.outputs.envelope import Stamp
from streaming.outputs.targets import LARGEST_BATCH, Targets


@dataclass(frozen=True)
class Limits:
    """What bounds a transaction: its collected bytes, its time in milliseconds, and the bytes of one record batch."""

    max_bytes: int
    transaction_timeout_ms: int
    batch_bytes: int = LARGEST_BATCH

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

    ``plan`` is the ledger's name for the decision which versions score these ranges. ``stamp`` is the champion's,
    ``others`` those of further arms.
    """

    client: dict[str, str] = field(repr=False)
    writer: Writer
    plan: str
    stamp: Stamp
    ranges: Ranges
    targets: Targets
    limits: Limits
    failpoints: Failpoints = OFF
    others: tuple[Stamp, ...] = ()
    lookup: LookupState | None = None
    """The lookup table's state, where columns are looked up."""
    by_model: bool = False
    """True if the stamps are those of many models, not of one model's arms."""
    lettered: Offsets = field(default_factory=dict)
    """Input offsets of events that are dead letters already: a second letter of one is not written."""

    @cached_property
    def stamps(self) -> tuple[Stamp, ...]:
        """Every arm's, in the order of the numbers in the rows' column ``arm``."""
        return (self.stamp, *self.others)

    @cached_property
    def counted_as(self) -> tuple[str, ...]:
        """The names by which each stamp's rows are counted: the version of many models, why degraded, or the role."""
        return tuple(str(stamp.version.key) if self.by_model else stamp.degraded or stamp.role for stamp in self.stamps)

    def degraded(self, predictions: int, arms: Mapping[str, ArmOutcome]) -> dict[str, int]:
        """Return how many predictions are the fallback chain's, by reason.

        Args:
            predictions: of all stamps.
            arms: what each stamp's rows came to; empty where there is one stamp.
        """
        reasons = {stamp.degraded for stamp in self.stamps if stamp.degraded}
        if not self.others:
            return dict.fromkeys(reasons, predictions)
        return {reason: arms[reason].predictions for reason in reasons & arms.keys()}

    @property
    def application(self) -> str:
        """The application that writes."""
        return self.writer.application
