"""What a start asks of Kafka and changes there, put together from the admin client, the marks and the claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.claim import Claim
from streaming.adapters.kafka.ledger import LedgerTopics
from streaming.adapters.kafka.marks import MarkStore
from streaming.adapters.kafka.moves import MarkMover
from streaming.adapters.kafka.progress import saved_marks
from streaming.clock import Clock
from streaming.delivery.marks import Mark
from streaming.engines.start import Move
from streaming.errors import TopicRecreatedError


@dataclass(frozen=True)
class KafkaStart:
    """Implements :class:`streaming.engines.reconcile.StartBroker` for the writer of ``store``."""

    kafka: Mapping[str, str] = field(repr=False)
    admin: KafkaAdmin
    store: MarkStore
    topics: LedgerTopics
    clock: Clock

    def partitions(self) -> range:
        """See :class:`streaming.engines.reconcile.StartBroker`."""
        writer = self.store.writer
        source = self.admin.required_topic(writer.topic)
        if source.id != writer.topic_id:
            raise TopicRecreatedError(
                f"{source.name} was deleted and created again while the job ran (id {writer.topic_id}, now"
                f" {source.id}). Start the job again, with --on-gap skip to score the new topic from its first record."
            )
        return range(source.partitions)

    def claim(self, partitions: Iterable[int]) -> None:
        """See :class:`streaming.engines.reconcile.StartBroker`."""
        Claim(self.store).partitions(partitions)

    def marks(self, partitions: Iterable[int]) -> Mapping[int, Mark | None]:
        """See :class:`streaming.engines.reconcile.StartBroker`."""
        return self.admin.marks(self.store.writer.topic, partitions)

    def saved_marks(self) -> Mapping[int, Mark]:
        """See :class:`streaming.engines.reconcile.StartBroker`."""
        writer = self.store.writer
        return saved_marks(self.kafka, self.topics.progress.topic, writer.application, writer.topic)

    def offsets(self, partitions: Iterable[int], where: str) -> Mapping[int, int]:
        """See :class:`streaming.engines.reconcile.StartBroker`."""
        return self.admin.offsets(self.store.writer.topic, partitions, where)

    def move(self, move: Move) -> bool:
        """See :class:`streaming.engines.reconcile.StartBroker`."""
        return MarkMover(self.store, self.topics, self.clock).move(move)
