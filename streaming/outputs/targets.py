"""The output topics, and what their broker takes there."""

from __future__ import annotations

from dataclasses import dataclass

NO_BOUND = 2**63 - 1
"""What Kafka's settings have for no bound, in milliseconds."""
LARGEST_BATCH = 1_000_000
"""Bytes of the largest record batch that a producer makes."""
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
    """The topics of predictions, of dead letters, and of the marks that are kept beside the group's."""

    predictions: Target
    dead_letters: Target
    progress: Target

    @property
    def batch_bytes(self) -> int:
        """The bytes that the producer may put into one batch, which a topic limits even if its records are small."""
        limits = (target.max_record_bytes for target in (self.predictions, self.dead_letters, self.progress))
        return max(1, min(LARGEST_BATCH, *(limit - _FRAMING for limit in limits)))
