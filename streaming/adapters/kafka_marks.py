"""Reading committed marks, so that a broker that cannot say is never taken for one that says there is none."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streaming.delivery.marks import Mark


def read_marks(group: Consumer, topic: str, partitions: Iterable[int], timeout: float) -> dict[int, Mark | None]:
    """Return a group's marks; a partition with no commit is absent, a stranger's commit is ``None``.

    Raises:
        KafkaException: the broker did not answer, for all partitions or for one of them.
    """
    found = group.committed([TopicPartition(topic, partition) for partition in partitions], timeout=timeout)
    for part in found:
        if part.error is not None:
            raise KafkaException(part.error)
    return {part.partition: Mark.read(part.offset, part.metadata) for part in found if part.offset >= 0}
