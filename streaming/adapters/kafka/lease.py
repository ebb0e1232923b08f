"""The lease by membership of a Kafka consumer group: the member with the ledger's partition holds it.

The broker's clock decides when a member that is silent is given up. Assignment is cooperative and sticky, so the lease
stays where it is when another driver joins or leaves the line.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from streaming.adapters.kafka.config import client_config
from streaming.delivery.refusals import Rights, refusal
from streaming.errors import ConfigurationError
from streaming.operations.lease import LeaseObserver

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_POLL_SECONDS = 0.1
_LEAVE_SECONDS = 5.0
_HEARTBEAT_MS = 1_000  # with its heartbeat a member learns that the lease has become free
_WEDGED_MS = 60_000
"""A driver whose threads stand still for this long gives the lease up, although its client still speaks for it."""
_HOPELESS = (
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.INVALID_SESSION_TIMEOUT,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
)


class KafkaLease:
    """Implements :class:`streaming.operations.lease.Lease` for one application."""

    def __init__(
        self, kafka: Mapping[str, str], ledger: str, application: str, seconds: int, observer: LeaseObserver
    ) -> None:
        """Stay out of the line for now.

        Args:
            kafka: Kafka's settings.
            ledger: the ledger's topic; the lease is its partition 0.
            application: the drivers that compete are those with this name.
            seconds: how long the broker waits for a word from a member before it gives it up.
            observer: is told, from another thread, when the lease comes and goes.
        """
        self._ledger = ledger
        self._group = f"{application}.lease"
        self._config = {
            **client_config(kafka),
            "group.id": self._group,
            "session.timeout.ms": str(seconds * 1000),
            "heartbeat.interval.ms": str(_HEARTBEAT_MS),
            "max.poll.interval.ms": str(max(_WEDGED_MS, seconds * 1000)),
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": "false",
        }
        self._observer = observer
        self._held = threading.Event()
        self._leaving = threading.Event()
        self._hopeless: KafkaError | None = None
        self._thread = threading.Thread(target=self._stand_in_line, name="lease", daemon=True)

    def wait(self, stopping: threading.Event) -> bool:
        """See :meth:`streaming.operations.lease.Lease.wait`; a broker that is away is waited for.

        Raises:
            ConfigurationError: the broker will not have us in the group.
        """
        self._thread.start()
        while not stopping.is_set():
            if self._held.wait(_POLL_SECONDS):
                return True
            if self._hopeless is not None:
                rights = Rights(f"READ on topic {self._ledger}", f"READ on group {self._group}")
                raise refusal(self._hopeless, self._config, rights) or ConfigurationError(
                    f"the broker refuses this driver in the consumer group {self._group!r}, which is the lease:"
                    f" {self._hopeless.str()}. engine.lease_seconds must lie within the broker's"
                    " group.min.session.timeout.ms and group.max.session.timeout.ms"
                )
        return False

    def leave(self) -> None:
        """See :meth:`streaming.operations.lease.Lease.leave`; waits a few seconds for the broker to hear of it."""
        self._leaving.set()
        if self._thread.is_alive():
            self._thread.join(_LEAVE_SECONDS)

    def _stand_in_line(self) -> None:
        consumer = Consumer(self._config)
        consumer.subscribe([self._ledger], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        while not self._leaving.is_set():
            try:
                message = consumer.poll(_POLL_SECONDS)
            except KafkaException as problem:
                self._note(problem.args[0])
                time.sleep(_POLL_SECONDS)
                continue
            if message is not None and (error := message.error()) is not None:
                self._note(error)
        consumer.close()

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        ours = [TopicPartition(part.topic, part.partition, OFFSET_END) for part in partitions]
        consumer.incremental_assign(ours)
        consumer.pause(ours)  # the partition is what we want, not its records
        if any(part.partition == 0 for part in ours):
            self._held.set()
            self._observer.lease_changed(held=True)

    def _revoked(self, _consumer: Any, partitions: list[TopicPartition]) -> None:
        if any(part.partition == 0 for part in partitions):
            self._held.clear()
            self._observer.lease_changed(held=False)
            if not self._leaving.is_set():
                _log.warning("lease lost, as the broker did not hear from us; going on until another driver takes over")

    def _note(self, error: KafkaError) -> None:
        if error.code() in _HOPELESS:
            self._hopeless = error
        _log.warning("lease: the broker reports a problem", group=self._group, problem=error.str())
