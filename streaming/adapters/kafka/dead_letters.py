"""Dead letters read from their topic and sent again, with a memory of what was sent in the same transaction.

The memory is a compacted topic with one record for each dead letter that was sent. Whoever sends first takes the
transactional id ``<application>.dlq-replay``, which fences an earlier sender and settles its last transaction, and then
reads the memory: a run that was killed anywhere is finished by the next one, and no event is sent twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from confluent_kafka import KafkaException, Producer

from schemas.dead_letter import ORIGINAL_TIMESTAMP
from streaming.adapters.kafka.admin import TopicInfo
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.log import KafkaLog
from streaming.adapters.kafka.refusals import Deliveries, opened, sending
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import Clock, isoformat
from streaming.delivery.refusals import Rights
from streaming.outputs.dead_letters import DeadLetter, Place, Selection
from streaming.outputs.resend import Replayed

_TIMEOUT = 30.0
_MOST_RECORDS = 1_000
_MOST_BYTES = 16 * 1024 * 1024
"""The most that one transaction holds; the rest goes into the next one."""
_SENDER = {
    "partitioner": "murmur2_random",  # as Java's producer, where the key decides
    "message.max.bytes": "1000000000",  # the topic's limit is checked before
    "transaction.timeout.ms": "30000",  # how long a killed sender keeps readers of committed records waiting
}


class KafkaDeadLetters:
    """The committed records of one dead letters' topic."""

    def __init__(self, kafka: Mapping[str, str], application: str, topic: TopicInfo) -> None:
        self._kafka = kafka
        self._application = application
        self._topic = topic

    def read(self, selection: Selection) -> Iterator[DeadLetter]:
        """Yield those that are meant, by partition and offset, up to the end as it is now.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        with KafkaScan(self._kafka, self._application) as scan:
            for partition in range(self._topic.partitions):
                offsets = selection.offsets(partition)
                messages = scan.messages(self._topic.name, partition, offsets.start, offsets.stop)
                yield from filter(selection.takes, map(_letter, messages))


class KafkaReplays:
    """Sends events again, a thousand in a transaction, and remembers which."""

    def __init__(self, kafka: Mapping[str, str], application: str, memory: str, letters: TopicInfo) -> None:
        """Prepare; the broker is not asked yet.

        Args:
            kafka: Kafka's settings.
            application: names the sender.
            memory: the topic that remembers.
            letters: the dead letters' topic; what is remembered of an earlier topic of this name does not count.
        """
        self._config = client_config(kafka)
        self._application = application
        self._memory = memory
        self._letters = letters

    def done(self) -> set[Place]:
        """Return the dead letters that were sent before."""
        keys = [message.key() or b"" for message in KafkaLog(self._config, self._memory).read()]
        prefix = f"{self._letters.id}:".encode()
        places = (key[len(prefix) :].split(b":") for key in keys if key.startswith(prefix))
        return {Place(int(partition), int(offset)) for partition, offset in places}

    @contextmanager
    def sender(self, clock: Clock) -> Iterator[Sender]:
        """Become the one who sends; what was sent is committed at the end, the last of it or nothing.

        Raises:
            FencedError: another one has begun to send.
            BrokerUnavailableError: the broker does not answer.
        """
        name = f"{self._application}.dlq-replay"
        producer = opened(Producer, {**self._config, **_SENDER, "transactional.id": name})
        rights = Rights(
            topic=f"WRITE on the events' topics and on topic {self._memory}",
            transactional_id=f"WRITE and DESCRIBE on transactional id {name}",
        )
        sender = Sender(producer, self._memory, self._letters.id, clock)
        try:
            with sending(self._config, rights, "penstock dlq replay"):
                producer.list_topics(self._memory, timeout=_TIMEOUT)
                producer.init_transactions(_TIMEOUT)
                yield sender
                sender.commit()
        except BaseException:
            # Without this every reader of committed records would wait for the time-out.
            with suppress(KafkaException):
                producer.abort_transaction(_TIMEOUT)
            raise


class Sender:
    """One run's transactions."""

    def __init__(self, producer: Producer, memory: str, letters_id: str, clock: Clock) -> None:
        self._producer = producer
        self._memory = memory
        self._letters_id = letters_id
        self._clock = clock
        self._records = 0
        self._bytes = 0
        self._sent = Deliveries()

    def send(self, letter: DeadLetter, record: Replayed) -> None:
        """Put one event into the transaction under way, and commit that once it is large."""
        if self._records == 0:
            self._producer.begin_transaction()
        self._producer.produce(
            record.topic,
            record.value,
            record.key,
            # With -1 the client chooses by the key.
            -1 if record.partition is None else record.partition,
            timestamp=record.timestamp or 0,
            headers=list(record.headers),
            on_delivery=self._sent,
        )
        note = {"to": record.topic, "reason": letter.reason, "replays": letter.replays + 1}
        key = f"{self._letters_id}:{letter.place}"
        self._producer.produce(
            self._memory, json.dumps({**note, "at": isoformat(self._clock())}), key, 0, on_delivery=self._sent
        )
        self._records += 1
        self._bytes += record.size
        if self._records >= _MOST_RECORDS or self._bytes >= _MOST_BYTES:
            self.commit()

    def commit(self) -> None:
        """Make what was sent visible, all of it or nothing."""
        if self._records:
            with self._sent.explained():
                self._producer.commit_transaction(_TIMEOUT)
        self._records = self._bytes = 0


def _letter(message: Any) -> DeadLetter:
    place = Place(message.partition(), message.offset())
    letter = DeadLetter(
        place=place,
        timestamp=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
    )
    # The topic did not take the event's own, and the record has the time of writing.
    original = letter.added.get(ORIGINAL_TIMESTAMP, "")
    return replace(letter, timestamp=int(original)) if original.lstrip("-").isdigit() else letter
