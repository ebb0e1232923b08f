"""Transactional producers for the writer's tasks: always fresh, and where it can be, connected before they are needed.

Opening a producer is for the most part connecting. So a worker process that has written a partition connects the next
producer for it at once, while the driver goes from one batch to the next. Such a spare has no part in the protocol:
only ``init_transactions``, called by the task that uses it, takes the transactional id and fences who had it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from functools import cache

from confluent_kafka import KafkaException, Producer

from streaming.delivery.marks import Writer
from streaming.delivery.write_order import Limits

_READY_TIMEOUT = 10.0
QUEUE_FULL_SECONDS = 0.1
"""The longest that a full queue is waited for before it is tried again; an acknowledgement ends the wait sooner."""
CALL_TIMEOUT = 30.0
"""Seconds for each call of a transaction."""
_CALL_ATTEMPTS = 5
_BACKOFF = {"reconnect.backoff.ms": "5", "reconnect.backoff.max.ms": "500", "retry.backoff.ms": "5"}
"""A fresh client may connect again only after half of the first, even where nothing had failed. And in one transaction
of twenty the coordinator has not quite ended the one before; by default, that is asked for again after 100 ms."""
_COMPRESSION = ("compression.type", "compression.codec")
"""Two names of one setting. A record's headers repeat the record's before it, so a batch of them shrinks to a fifth."""
_MOST_SPARES = 8
"""Each is a few threads and two connections; where a worker writes more partitions, the others' connect when needed."""


@dataclass(frozen=True)
class Identity:
    """The writer of one partition and the configuration of its producers; ``settings`` may hold secrets."""

    application: str
    topic: str
    partition: int
    settings: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def of(cls, client: Mapping[str, str], writer: Writer, limits: Limits, partition: int) -> Identity:
        """Return who writes ``partition`` for ``writer``; ``client`` is librdkafka's configuration."""
        settings = {**_BACKOFF, **client, **limits.client()}
        if not any(name in client for name in _COMPRESSION):
            settings[_COMPRESSION[0]] = "lz4"
        return cls(writer.application, writer.topic, partition, tuple(sorted(settings.items())))

    def connect(self) -> Producer:
        """Return a connected producer that has not taken the transactional id yet."""
        name = f"{self.application}.{self.topic}.{self.partition}"
        producer = Producer({**dict(self.settings), "transactional.id": name})
        # The coordinator is looked up on a 500 ms timer while no broker is connected, so there must be a connection
        # first. One answer does not leave one: with the brokers' names it closes the connection it came by. Two do.
        for _ in range(2):
            producer.list_topics(self.topic, timeout=_READY_TIMEOUT)
        return producer


def open_producer(identity: Identity) -> Producer:
    """Return a fresh producer that has taken the partition's transactional id and fenced whoever had it."""
    producer = spares().take(identity) or identity.connect()
    patiently(lambda: producer.init_transactions(CALL_TIMEOUT))
    return producer


class Spares:
    """The connected producers of one process, for partitions of the topic that it wrote last."""

    def __init__(self, most: int = _MOST_SPARES) -> None:
        self._most = most
        self._background = ThreadPoolExecutor(1, "spare-producers")
        self._ready: dict[Identity, Future[Producer]] = {}

    def take(self, identity: Identity) -> Producer | None:
        """Return the spare of a partition, which is nobody else's from now on; ``None`` if there is none of use."""
        ready = self._ready.pop(identity, None)
        try:
            return ready.result(_READY_TIMEOUT) if ready else None
        except (KafkaException, NotInTime):
            return None

    def replace(self, identity: Identity, used: Future[Producer]) -> None:
        """Connect a spare for a partition in the background, if there is room, and close the used producer there."""
        if any(
            (spare.application, spare.topic) != (identity.application, identity.topic) for spare in tuple(self._ready)
        ):
            self._ready.clear()
        if len(self._ready) < self._most:
            self._ready[identity] = self._background.submit(_connect, identity, used)


def _connect(identity: Identity, _: Future[Producer]) -> Producer:
    """Connect a spare. Closing the used producer waits for its threads; the thread of this call lets go of it last."""
    return identity.connect()


@cache
def spares() -> Spares:
    """Return this process's own; made at the first call, as workers are forked."""
    return Spares()


def patiently(call: Callable[[], object]) -> None:
    """Repeat a transactional call while it says that repeating is safe; the client resumes where it was."""
    for _ in range(_CALL_ATTEMPTS - 1):
        try:
            call()
        except KafkaException as problem:
            if not problem.args[0].retriable():
                raise
        else:
            return
    call()


def enqueue(producer: Producer, produce: Callable[[], object]) -> None:
    """Hand a record to the client by ``produce``, waiting while its queue is full, and hear what came of earlier ones.

    The writer has a loop of its own: it sends many times as many records, and a call for each would be felt.

    Raises:
        KafkaException: the client does not take the record.
    """
    while True:
        try:
            produce()
        except BufferError:
            producer.poll(QUEUE_FULL_SECONDS)
        else:
            producer.poll(0)
            return
