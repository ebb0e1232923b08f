"""Questions to Kafka other than reading and writing: topics, offsets, marks, a sample of recent events."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.marks import mark_reader, read_marks
from streaming.adapters.kafka.patience import settled
from streaming.adapters.kafka.refusals import Complaints, in_turns, opened
from streaming.delivery.marks import Mark
from streaming.delivery.refusals import Rights, refusal, require_granted
from streaming.errors import BrokerUnavailableError, ConfigurationError
from streaming.outputs.targets import NO_BOUND, Target

_TIMEOUT = 15.0
_PAUSE = 0.05
_AWAY = ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE")
_HEADROOM = 65_536
"""Bytes by which a dead letter may exceed its event: the error headers."""
_BEHIND, _AHEAD = "message.timestamp.before.max.ms", "message.timestamp.after.max.ms"
_EITHER = "message.timestamp.difference.max.ms"
"""The name of both before Kafka 3.6."""


@dataclass(frozen=True)
class TopicInfo:
    """A topic as the broker describes it; ``id`` changes when a topic is deleted and created again.

    ``behind_ms`` and ``ahead_ms`` are how far a timestamp may be from the broker's clock, in milliseconds;
    ``unbounded`` are the settings by which a topic of this broker takes any timestamp.
    """

    name: str
    id: str
    partitions: int
    max_record_bytes: int
    compacted: bool = False
    behind_ms: int = NO_BOUND
    ahead_ms: int = NO_BOUND
    unbounded: Mapping[str, str] = field(default_factory=dict)
    compaction_lag_ms: int = 0
    """A record stays for at least so long, whatever newer ones its key has."""


class KafkaAdmin:
    """One application's view of its broker. Every call is bounded in time.

    Raises:
        ConfigurationError: from every method, when the broker refuses us or a right.
        BrokerUnavailableError: from every method, when the broker does not answer.
    """

    def __init__(self, kafka: Mapping[str, str], group: str) -> None:
        self._kafka = dict(kafka)
        self._config = client_config(kafka)
        self._servers = kafka["bootstrap.servers"]
        self._group = group
        self._complaints = Complaints(kafka)
        self._admin = opened(AdminClient, self._complaints.settings(self._config))

    def topic(self, name: str) -> TopicInfo | None:
        """Describe a topic; ``None`` where there is no such topic."""
        rights = Rights(topic=f"DESCRIBE and DESCRIBE_CONFIGS on topic {name}")
        is_listed = name in self._listed()
        try:
            described = self._wait(
                self._admin.describe_topics(TopicCollection([name]), request_timeout=_TIMEOUT)[name], rights
            )
        except KafkaException:
            if is_listed:
                raise
            return None  # one that we may not see would have been refused
        resource = ConfigResource(ResourceType.TOPIC, name)
        config = self._wait(self._admin.describe_configs([resource], request_timeout=_TIMEOUT)[resource], rights)
        settings = {key: str(entry.value) for key, entry in config.items()}
        return _info(name, str(described.topic_id), len(described.partitions), settings)

    def required_topic(self, name: str) -> TopicInfo:
        """Describe a topic that must be there; raises ``ConfigurationError`` if it is not."""
        existing = self.topic(name)
        if existing is None:
            raise ConfigurationError(f"there is no topic {name!r} at {self._servers}; create it or set input.topic")
        return existing

    def ensure_topic(self, name: str, partitions: int, config: Mapping[str, str], replication: int = -1) -> TopicInfo:
        """Return the topic, created if it is missing. An existing topic is left as it is."""
        existing = self.topic(name)
        if existing is not None:
            return existing
        new_topic = NewTopic(name, num_partitions=partitions, replication_factor=replication, config=dict(config))
        try:
            made = self._admin.create_topics([new_topic], request_timeout=_TIMEOUT)[name]
            self._wait(made, Rights(topic=f"CREATE on topic {name}"))
        except KafkaException as problem:
            if problem.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise ConfigurationError(f"cannot create topic {name!r}: {problem.args[0].str()}") from problem
        # The creation is known to the controller before it is to every broker.
        for _ in range(round(_TIMEOUT / _PAUSE)):
            existing = self.topic(name)
            if existing is not None:
                return existing
            time.sleep(_PAUSE)
        raise BrokerUnavailableError(f"topic {name!r} was created at {self._servers} but does not appear")

    def require_rights(self, needs: Mapping[str, Sequence[str]]) -> frozenset[str]:
        """See that we may do with topics what we need to; return those of them that are there.

        Args:
            needs: topic to operations: ``{"features": ["READ"]}``.

        Raises:
            ConfigurationError: a right is missing; the message names every one.
        """
        asked = self._admin.describe_topics(
            TopicCollection(list(needs)), include_authorized_operations=True, request_timeout=_TIMEOUT
        )
        granted: dict[str, frozenset[str] | None] = {}
        for topic, future in asked.items():
            try:
                described = self._wait(future, Rights(topic=f"{' and '.join(needs[topic])} on topic {topic}"))
            except KafkaException as problem:
                if problem.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                    raise self._unavailable(problem.args[0].str()) from problem
                continue
            operations = described.authorized_operations
            granted[topic] = None if operations is None else frozenset(operation.name for operation in operations)
        require_granted(needs, granted, self._kafka)
        return frozenset(granted)

    def dead_letter_config(self, source: TopicInfo) -> dict[str, str]:
        """Return the settings a dead letter topic needs so that every event of ``source`` fits with its headers."""
        return {"max.message.bytes": str(source.max_record_bytes + _HEADROOM), **source.unbounded}

    def offsets(self, topic: str, partitions: Iterable[int], where: str) -> dict[int, int]:
        """Return each partition's ``earliest`` or ``latest`` offset, or the ``stable`` one before open transactions."""
        spec = OffsetSpec.earliest() if where == "earliest" else OffsetSpec.latest()
        level = IsolationLevel.READ_COMMITTED if where == "stable" else IsolationLevel.READ_UNCOMMITTED
        asked = {TopicPartition(topic, partition): spec for partition in partitions}

        def ask() -> dict[int, int]:
            futures = self._admin.list_offsets(asked, isolation_level=level, request_timeout=_TIMEOUT)
            return {part.partition: int(future.result(timeout=_TIMEOUT).offset) for part, future in futures.items()}

        offsets: dict[int, int] = self._call(ask, Rights(topic=f"DESCRIBE on topic {topic}"))
        return offsets

    def marks(self, topic: str, partitions: Iterable[int]) -> dict[int, Mark | None]:
        """Return the group's marks; a partition with no commit is absent, a stranger's commit is ``None``."""
        asked = list(partitions)
        rights = Rights(topic=f"DESCRIBE on topic {topic}", group=f"READ on group {self._group}")
        with closing(mark_reader(self._config, self._group)) as consumer:
            marks: dict[int, Mark | None] = self._call(lambda: read_marks(consumer, topic, asked, _TIMEOUT), rights)
        return marks

    def recent(self, topic: str, count: int) -> list[bytes]:
        """Return up to ``count`` of the latest values, tombstones left out; empty for an empty topic."""
        info = self.required_topic(topic)
        first, last = (self.offsets(topic, range(info.partitions), where) for where in ("earliest", "latest"))
        share = max(1, count // info.partitions)
        latest = [TopicPartition(topic, p, max(first[p], last[p] - share)) for p in first if last[p] > first[p]]
        own = {"group.id": f"{self._group}.sample", "enable.auto.commit": "false", "enable.partition.eof": "true"}
        with closing(Consumer({**self._config, **own})) as consumer:
            consumer.assign(latest)
            return self._drain(consumer, topic, len(latest), count)

    def _drain(self, consumer: Consumer, topic: str, partitions: int, count: int) -> list[bytes]:
        rights = Rights(topic=f"READ on topic {topic}", group=f"READ on group {self._group}.sample")
        values: list[bytes] = []
        finished = 0
        while finished < partitions and len(values) < count:
            message = consumer.poll(_TIMEOUT)
            if message is None:
                raise self._unavailable("no answer to a read")
            value, error = message.value(), message.error()
            if error is not None:
                if refused := refusal(error, self._kafka, rights):
                    raise refused
                finished += 1
            elif value is not None:
                values.append(value)
        return values

    def target(self, info: TopicInfo) -> Target:
        """Return what the writer must know of an output topic."""
        return Target(
            topic=info.name,
            partitions=info.partitions,
            max_record_bytes=info.max_record_bytes,
            compacted=info.compacted,
            behind_ms=info.behind_ms,
            ahead_ms=info.ahead_ms,
        )

    def _listed(self) -> Mapping[str, object]:
        """Return the topics that we may see."""
        try:
            listed = in_turns(lambda turn: self._admin.list_topics(timeout=turn), self._look_for_reason, _TIMEOUT)
        except KafkaException as problem:
            raise self._unavailable(problem.args[0].str()) from problem
        topics: Mapping[str, object] = listed.topics
        return topics

    def _look_for_reason(self) -> None:
        self._admin.poll(0)
        self._complaints.check()

    def _wait(self, future: Any, rights: Rights) -> Any:
        return self._call(lambda: future.result(timeout=_TIMEOUT), rights)

    def _call(self, call: Any, rights: Rights) -> Any:
        try:
            return settled(call)
        except TimeoutError as problem:
            self._look_for_reason()
            raise self._unavailable(str(problem)) from problem
        except KafkaException as problem:
            if refused := refusal(problem.args[0], self._kafka, rights):
                raise refused from problem
            self._look_for_reason()
            if problem.args[0].name() in _AWAY or problem.args[0].retriable():
                raise self._unavailable(problem.args[0].str()) from problem
            raise

    def _unavailable(self, why: str) -> BrokerUnavailableError:
        return BrokerUnavailableError(
            f"Kafka at {self._servers} does not answer within {_TIMEOUT:.0f} s ({why}{self._complaints.reason});"
            " check kafka.bootstrap.servers and that the broker runs (penstock up starts one)"
        )


def _info(name: str, topic_id: str, partitions: int, settings: Mapping[str, str]) -> TopicInfo:
    bounds = {key: int(settings[key]) for key in (_BEHIND, _AHEAD, _EITHER) if key in settings}
    # A broker that writes its own time into each record looks at no other.
    looked_at = {} if settings.get("message.timestamp.type") == "LogAppendTime" else bounds
    either = looked_at.get(_EITHER, NO_BOUND)
    return TopicInfo(
        name,
        topic_id,
        partitions,
        max_record_bytes=int(settings["max.message.bytes"]),
        compacted="compact" in settings.get("cleanup.policy", ""),
        behind_ms=min(either, looked_at.get(_BEHIND, NO_BOUND)),
        ahead_ms=min(either, looked_at.get(_AHEAD, NO_BOUND)),
        compaction_lag_ms=int(settings.get("min.compaction.lag.ms", 0)),
        unbounded={key: str(NO_BOUND) for key in ((_BEHIND, _AHEAD) if _AHEAD in bounds else bounds)},
    )


@dataclass(frozen=True)
class TopicSample:
    """Implements :class:`streaming.models.topic_schema.EventSample` for one topic."""

    admin: KafkaAdmin
    topic: str

    def recent(self, count: int) -> list[bytes]:
        """Return up to ``count`` of the topic's latest values."""
        return self.admin.recent(self.topic, count)
