"""Foreign clients that read a topic's committed records to its end; each returns the same :class:`Received` records."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import Consumer, TopicPartition
from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPythonPartition

Client = Callable[[str, str], list["Received"]]
"""Bootstrap servers and a topic to its records, by partition and offset."""

_FIELDS = ("%p", "%o", "%T", "%k", "%h", "%s")
_BETWEEN, _AFTER = "\n-field-\n", "\n-record-\n"


class Received(NamedTuple):
    """A record as any client shows it; ``timestamp`` is milliseconds since 1970."""

    partition: int
    offset: int
    timestamp: int
    key: bytes
    headers: dict[str, bytes]
    value: bytes


def confluent(servers: str, topic: str) -> list[Received]:
    """Read with confluent-kafka."""
    own = {"group.id": "foreign", "isolation.level": "read_committed", "enable.partition.eof": "true"}
    consumer = Consumer({"bootstrap.servers": servers, "enable.auto.commit": "false", **own})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    result, ended = [], 0
    while ended < len(partitions):
        message: Any = consumer.poll(10)
        assert message is not None, f"{topic} was not read to its end"
        if message.error():
            ended += 1
            continue
        position = message.partition(), message.offset(), message.timestamp()[1]
        result.append(Received(*position, message.key(), dict(message.headers() or ()), message.value()))
    consumer.close()
    return sorted(result)


def kafka_python(servers: str, topic: str) -> list[Received]:
    """Read with kafka-python."""
    consumer = KafkaConsumer(
        bootstrap_servers=servers, isolation_level="read_committed", enable_auto_commit=False, group_id=None
    )
    assigned = [KafkaPythonPartition(topic, partition) for partition in consumer.partitions_for_topic(topic)]
    consumer.assign(assigned)
    consumer.seek_to_beginning(*assigned)
    ends = consumer.end_offsets(assigned)
    result = []
    while any(consumer.position(partition) < ends[partition] for partition in assigned):
        for batch in consumer.poll(timeout_ms=1_000).values():
            result += [Received(r.partition, r.offset, r.timestamp, r.key, dict(r.headers), r.value) for r in batch]
    consumer.close()
    return sorted(result)


def kcat(servers: str, topic: str) -> list[Received]:
    """Read with kcat, which no Python is part of."""
    form = _BETWEEN.join(_FIELDS) + _AFTER
    command = ["kcat", "-b", servers, "-C", "-e", "-q", "-t", topic, "-X", "isolation.level=read_committed"]
    printed = subprocess.run([*command, "-f", form], capture_output=True, check=True, timeout=60).stdout
    return sorted(_printed(record) for record in printed.split(_AFTER.encode())[:-1])


def _printed(record: bytes) -> Received:
    partition, offset, timestamp, key, headers, value = record.split(_BETWEEN.encode())
    # kcat puts a comma between headers, and a value may have commas of its own; a name never has.
    words = re.split(rb"(?:^|,)([A-Za-z_.-]+)=", headers)[1:]
    named = {name.decode(): text for name, text in zip(words[::2], words[1::2], strict=True)}
    return Received(int(partition), int(offset), int(timestamp), key, named, value)


CLIENTS: dict[str, Client] = {"kafka-python": kafka_python, "confluent-kafka": confluent}
"""Those that are on this machine; kcat is a package of the operating system's."""
if shutil.which("kcat"):
    CLIENTS["kcat"] = kcat
