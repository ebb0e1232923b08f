"""Committed marks. Silence of the broker is never taken for a missing mark; a mark is read before it is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from streaming.adapters.kafka.refusals import trouble
from streaming.delivery.marks import Mark, Writer
from streaming.delivery.producers import Identity, open_producer, patiently
from streaming.delivery.progress import progress_record
from streaming.delivery.refusals import Rights, refusal
from streaming.delivery.write_order import Limits
from streaming.outputs.targets import Target

_TIMEOUT = 30.0
_ATTEMPTS = 7
_PAUSE = 0.1
"""Seconds before the second attempt; doubled before each further one."""


def mark_reader(client: Mapping[str, str], application: str) -> Consumer:
    """Return a consumer of the application's group; the broker lets it wait for a transaction that is pending."""
    own = {"group.id": application, "enable.auto.commit": "false", "isolation.level": "read_committed"}
    return Consumer({**client, **own})


def read_marks(group: Consumer, topic: str, partitions: Iterable[int], timeout: float) -> dict[int, Mark | None]:
    """Return a group's marks; a partition with no commit is absent, a stranger's commit is ``None``.

    Raises:
        KafkaException: the broker did not answer, for all partitions or for one of them.
    """
    positions = group.committed([TopicPartition(topic, partition) for partition in partitions], timeout=timeout)
    # A partition that failed has an offset below 0, as one without a commit has.
    for part in positions:
        if part.error is not None:
            raise KafkaException(part.error)
    return {part.partition: Mark.read(part.offset, part.metadata) for part in positions if part.offset >= 0}


class Note(NamedTuple):
    """A record that is written with a mark. ``partition`` is -1 where the key decides."""

    topic: str
    key: str | bytes
    value: str | bytes
    partition: int = -1


def progress_note(mark: Mark, topic: str, partition: int, progress: Target) -> Note:
    """Return the record that keeps the mark of an input partition a second time."""
    key, value = progress_record(mark, topic, partition)
    return Note(progress.topic, key, value, partition % progress.partitions)


class Change(NamedTuple):
    """The mark that is to stand, and what is written in the same transaction."""

    mark: Mark
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class MarkStore:
    """Compare-and-set on the marks of ``writer``, by the protocol of a writing task.

    The partition's transactional id is taken first, which fences whoever has it; the mark is read after that, so nobody
    can move it before it is committed. ``client`` is librdkafka's configuration and may hold secrets.
    """

    client: dict[str, str]
    writer: Writer
    limits: Limits

    def change(self, partition: int, decide: Callable[[Mark | None], Change | None]) -> bool:
        """Commit what ``decide`` makes of the partition's mark; false where it makes nothing of it.

        Raises:
            KafkaException: the broker did not answer, or somebody took the id in between; nothing is changed.
        """
        producer = open_producer(Identity.of(self.client, self.writer, self.limits, partition))
        with closing(mark_reader(self.client, self.writer.application)) as group:
            change = decide(read_marks(group, self.writer.topic, [partition], _TIMEOUT).get(partition))
            if change is None:
                return False
            position = TopicPartition(self.writer.topic, partition, change.mark.offset, change.mark.metadata)
            producer.begin_transaction()
            for note in change.notes:
                producer.produce(note.topic, note.value, note.key, note.partition)
            patiently(
                lambda: producer.send_offsets_to_transaction([position], group.consumer_group_metadata(), _TIMEOUT)
            )
            patiently(lambda: producer.commit_transaction(_TIMEOUT))
        return True

    def insist(self, partition: int, decide: Callable[[Mark | None], Change | None], failed: str) -> None:
        """Do as :meth:`change`, again and again while the broker does not let us; ``failed`` says what did not work.

        Raises:
            ConfigurationError: it refuses us a right.
            BrokerUnavailableError: it did not let us in the end.
        """
        patience = Retrying(
            retry=retry_if_exception(self._may_pass),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(_PAUSE),
            reraise=True,
        )
        try:
            patience(self.change, partition, decide)
        except KafkaException as problem:
            raise trouble(problem, self.client, self._rights(partition), failed) from problem

    def _may_pass(self, problem: BaseException) -> bool:
        """Return whether to try again: a right that is missing is not granted meanwhile."""
        if not isinstance(problem, KafkaException):
            return False
        return refusal(problem.args[0], self.client, Rights()) is None

    def _rights(self, partition: int) -> Rights:
        writer = self.writer
        return Rights(
            topic=f"READ on topic {writer.topic}, and WRITE on the ledger's and the progress topic",
            group=f"READ on group {writer.application}",
            transactional_id=f"WRITE and DESCRIBE on transactional id {writer.application}.{writer.topic}.{partition}",
        )
