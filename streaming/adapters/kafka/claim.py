"""Taking the partitions over from an earlier driver, so that its workers can commit nothing any more, awake or not.

The lease alone stops an earlier driver. A task that it had started could still finish one transaction: it holds the
partition's transactional id, and the mark it read had no younger epoch. A claim is the writer's own protocol without
rows: take the id, which fences whoever has it, read the mark, and commit it where it is, with our epoch. Whoever reads
it later refuses himself; whoever takes the id in between fences us, and we begin again.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from streaming.adapters.kafka.marks import Change, MarkStore
from streaming.delivery.marks import Mark

_AT_ONCE = 8


@dataclass(frozen=True)
class Claim:
    """Claims partitions for the writer of ``store``."""

    store: MarkStore

    def partitions(self, partitions: Iterable[int]) -> None:
        """Claim partitions; one without a mark of this application on this topic is left alone.

        Raises:
            BrokerUnavailableError: the broker did not answer, or somebody else kept taking a partition back.
        """
        with ThreadPoolExecutor(_AT_ONCE) as several:
            list(several.map(self._claim, partitions))

    def _claim(self, partition: int) -> None:
        failed = f"partition {partition} of {self.store.writer.topic} could not be taken over from an earlier driver"
        self.store.insist(partition, self._raised, failed)

    def _raised(self, mark: Mark | None) -> Change | None:
        """Return the mark where it is with our epoch, if it is ours and an earlier driver's."""
        writer = self.store.writer
        ours = mark and mark.application == writer.application and mark.topic_id == writer.topic_id
        return Change(replace(mark, epoch=writer.epoch)) if mark and ours and mark.epoch < writer.epoch else None
