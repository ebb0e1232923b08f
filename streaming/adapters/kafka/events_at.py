"""Events of the input topic at given offsets, of all partitions at once: it joins no group and commits nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.patience import settled
from streaming.adapters.kafka.refusals import Complaints, opened, trouble
from streaming.delivery.refusals import Rights
from streaming.errors import BrokerUnavailableError
from streaming.shadow.event_lane import EventLane
from streaming.shadow.scoring import InputEvent
from streaming.shadow.served import Coordinates

_AT_ONCE = 500
_TURN = 0.5
_TIMEOUT = 60.0
_CLIENT = {
    "enable.auto.commit": "false",
    "enable.partition.eof": "true",
    "isolation.level": "read_committed",
    # Where the oldest events are deleted, the next ones show that they are gone.
    "auto.offset.reset": "earliest",
    # Fetched ahead, of all partitions together; what has been handed over is bounded by the caller's question.
    "queued.max.messages.kbytes": "16384",
    "fetch.wait.max.ms": "10",
}


class KafkaEvents:
    """Implements :class:`streaming.shadow.rounds.EventSource`. Close it at the end."""

    def __init__(self, kafka: Mapping[str, str], topic: str, group: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._complaints = Complaints(kafka)
        own = {**client_config(kafka), **_CLIENT, "group.id": group}
        self._consumer = opened(Consumer, self._complaints.settings(own))
        self._lanes: dict[int, EventLane] = {}

    def events(self, asked: Mapping[int, Sequence[int]]) -> dict[Coordinates, InputEvent]:
        """See :class:`streaming.shadow.rounds.EventSource`."""
        for partition, offsets in asked.items():
            self._begin(partition, offsets)
        heard = time.monotonic()
        while any(self._lanes[partition].is_open for partition in asked):
            first = self._consumer.poll(_TURN)
            self._complaints.check()
            if first is not None:
                heard = time.monotonic()
                # Without a time limit: with one, the client waits for so many although fewer are asked for.
                for message in (first, *self._consumer.consume(_AT_ONCE, 0.0)):
                    self._take(message)
                self._pause_idle()
            elif time.monotonic() - heard > _TIMEOUT:
                raise BrokerUnavailableError(f"topic {self._topic!r} does not answer within {_TIMEOUT:.0f} s")
        return {
            (partition, offset): event
            for partition in asked
            for offset, event in self._lanes[partition].handed_over().items()
        }

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _begin(self, partition: int, offsets: Sequence[int]) -> None:
        """Go on reading a partition where that was left, or jump to where its first event is."""
        part, lane = TopicPartition(self._topic, partition, offsets[0]), self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = EventLane(offsets[0])
            self._consumer.incremental_assign([part])
        if lane.ask(offsets):
            # Assigned anew: a seek is refused as long as nothing has been fetched from a partition.
            self._consumer.incremental_unassign([part])
            self._consumer.incremental_assign([part])
        if lane.is_open:
            self._consumer.resume([part])
            lane.is_resting = False

    def _take(self, message: Message) -> None:
        partition, error = message.partition() or 0, message.error()
        lane = self._lanes[partition]
        if error is None:
            timestamp = max(0, message.timestamp()[1])
            lane.take(InputEvent(partition, message.offset() or 0, timestamp, message.key(), message.value()))
        elif error.code() != KafkaError._PARTITION_EOF:
            failed = f"topic {self._topic!r} cannot be read"
            raise trouble(KafkaException(error), self._kafka, Rights(topic=f"READ on topic {self._topic}"), failed)
        elif lane.is_open:
            # The end may have been where it was before the latest events came.
            lane.end(message.offset() or 0, *self._extent(partition))

    def _extent(self, partition: int) -> tuple[int, int]:
        part = TopicPartition(self._topic, partition)
        first, end = settled(lambda: self._consumer.get_watermark_offsets(part, timeout=_TIMEOUT))
        return int(first), int(end)

    def _pause_idle(self) -> None:
        """Fetch no more of partitions whose events are there, so that they do not fill the memory."""
        lanes = {partition: lane for partition, lane in self._lanes.items() if not (lane.is_open or lane.is_resting)}
        self._consumer.pause([TopicPartition(self._topic, partition) for partition in lanes])
        for lane in lanes.values():
            lane.is_resting = True
