"""Watching the outputs: how far a plan's predictions and dead letters have arrived, by their source offsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas import prediction
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.scan import stored
from streaming.delivery.refusals import Rights, refusal
from streaming.errors import BrokerUnavailableError
from streaming.ledger.arms import PlannedArms
from streaming.outputs.read_back import Output, read_output
from streaming.outputs.weights import WeightEpoch

_TIMEOUT = 10.0
_AT_ONCE = 20_000
_GROUP = "penstock-arrivals"


class KafkaArrivals:
    """Implements :class:`streaming.engines.live_ports.Arrivals`; sees what is written after it was opened."""

    def __init__(
        self, kafka: Mapping[str, str], topics: Sequence[str], arms: PlannedArms, warn: Callable[[str], None]
    ) -> None:
        """Begin at the topics' present ends.

        Args:
            kafka: Kafka's settings.
            topics: the outputs.
            arms: whose outputs are looked for; those of another step of a rollout are not.
            warn: is called when the right to read them is missing. They are not seen then, which is no error.

        Raises:
            BrokerUnavailableError: the broker does not tell them.
        """
        own = {"group.id": _GROUP, "enable.auto.commit": "false", "auto.offset.reset": "latest"}
        self._consumer = Consumer({**client_config(kafka), **own})
        self._kafka = dict(kafka)
        self._warn = warn
        self._arms = arms
        self._seen: dict[int, int] = {}
        try:
            self._consumer.assign([end for topic in topics for end in self._ends(topic)])
        except KafkaException as problem:
            self._consumer.close()
            raise BrokerUnavailableError(f"the ends of {', '.join(topics)} are not to be had: {problem}") from problem

    def reached(self, ends: Mapping[int, int]) -> bool:
        """Return whether outputs up to ``ends`` (exclusive) have been seen; looks at what has come meanwhile.

        A partition whose last offsets are the marks of transactions, which have no output, never gets there.
        """
        for message in self._consumer.consume(_AT_ONCE, 0.0):
            self._note(message)
        return all(self._seen.get(partition, -1) >= end - 1 for partition, end in ends.items())

    def close(self) -> None:
        """Stop watching."""
        self._consumer.close()

    def _ends(self, topic: str) -> list[TopicPartition]:
        listed = self._consumer.list_topics(topic, timeout=_TIMEOUT).topics[topic]
        self._complain(listed.error, topic)
        partitions = [TopicPartition(topic, partition) for partition in listed.partitions]
        ends = [self._consumer.get_watermark_offsets(partition, timeout=_TIMEOUT)[1] for partition in partitions]
        return [
            TopicPartition(topic, partition.partition, end) for partition, end in zip(partitions, ends, strict=True)
        ]

    def _note(self, message: Any) -> None:
        if message.error() is not None:
            self._complain(message.error(), str(message.topic()))
            return
        output = read_output(stored(message))
        if output is not None and self._is_of_arms(output):
            _, partition, offset = output.source
            self._seen[partition] = max(offset, self._seen.get(partition, -1))

    def _is_of_arms(self, output: Output) -> bool:
        # A version that keeps its place from step to step is told apart by the step.
        is_of_one = any(output.may_be_of(arm.version.key) for arm in self._arms.arms)
        return is_of_one and _step_of(output) == _step_headers(self._arms.weights)

    def _complain(self, error: KafkaError | None, topic: str) -> None:
        rights = Rights(topic=f"READ on topic {topic}", group=f"READ on group {_GROUP}")
        refused = refusal(error, self._kafka, rights) if error is not None else None
        if refused is not None:
            self._warn(str(refused))


def _step_of(output: Output) -> tuple[bytes | None, bytes | None]:
    headers = dict(output.record.headers)
    return headers.get(prediction.ROLLOUT), headers.get(prediction.WEIGHT_EPOCH)


def _step_headers(weights: WeightEpoch | None) -> tuple[bytes | None, bytes | None]:
    return (None, None) if weights is None else (weights.rollout.encode(), str(weights.epoch).encode())
