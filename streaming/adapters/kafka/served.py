"""A server's answers on Kafka: predictions and dead letters as the stream's writer makes them, sent without waiting.

There is no transaction and no mark, as a request has no offset to go on from. The client sends each record until the
broker has it, or for :data:`_SECONDS`, and never twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.output_topics import output_topic, require_all_kept, require_dead_letters
from streaming.adapters.kafka.refusals import Complaints, opened, trouble
from streaming.clock import Clock, system_clock
from streaming.delivery.producers import enqueue
from streaming.delivery.refusals import Rights
from streaming.offsets import Offsets
from streaming.outputs.envelope import Stamp
from streaming.outputs.records import Record, records
from streaming.outputs.targets import Targets
from streaming.serving.answer_log import AnswerCounts, AnsweredRequest
from streaming.serving.answer_rows import AnswerRows
from streaming.settings import OutputSettings

_SECONDS = 30.0
"""The longest that a record waits in the client for its broker."""
_PURGE_SECONDS = 1.0
_MOST_WAITING_KB = 16_384
_SENDER = {
    "acks": "all",
    "enable.idempotence": "true",
    "compression.type": "lz4",
    "linger.ms": "20",
    "message.timeout.ms": str(round(_SECONDS * 1_000)),
    "message.max.bytes": "1000000000",  # the topic's limit is checked before, with a better answer
    "queue.buffering.max.kbytes": str(_MOST_WAITING_KB),
    # As Kafka's own clients do, so that an entity's answers stay in order, whoever sends them.
    "partitioner": "murmur2_random",
}


@dataclass(frozen=True)
class ServedPlan:
    """What the records of one arm's answers have in common; a :class:`streaming.outputs.records.RecordPlan`."""

    application: str
    targets: Targets
    stamp: Stamp
    by_model: bool = False
    lettered: Offsets = field(default_factory=dict)

    @property
    def stamps(self) -> Sequence[Stamp]:
        """The arm's."""
        return (self.stamp,)


def served_targets(kafka: Mapping[str, str], output: OutputSettings, topic: str, application: str) -> Targets:
    """Return the topics of a server's answers, created where they are missing and that is allowed.

    Raises:
        ConfigurationError: one is missing, or would not keep every record; or the broker refuses us.
        BrokerUnavailableError: Kafka does not answer.
    """
    admin = KafkaAdmin(kafka, application)
    config = {"retention.ms": str(output.retention_ms)}
    # As many partitions as the broker gives a topic by default: there is no input whose number they could have.
    predictions, letters = (
        admin.target(output_topic(output, admin, name, -1, config)) for name in (topic, f"{topic}.dlq")
    )
    require_all_kept(predictions, "output.served", "answers of one key would replace each other")
    require_dead_letters(letters)
    return Targets(predictions, letters, predictions)


@dataclass
class KafkaAnswers:
    """Implements :class:`streaming.serving.answer_log.AnswerSink`.

    Attributes:
        kafka: Kafka's settings.
        application: whose answers they are.
        targets: the topics.
        rows: makes rows of answers.
        counts: is told what has become of each.
        clock: gives the time of writing.
    """

    kafka: Mapping[str, str]
    application: str
    targets: Targets
    rows: AnswerRows
    counts: AnswerCounts
    clock: Clock = system_clock
    _refused: KafkaError | None = None
    _has_written: bool = False

    def __post_init__(self) -> None:
        """Open the client, which connects by itself; raises ``ConfigurationError`` for what it does not take."""
        self._complaints = Complaints(self.kafka)
        config = self._complaints.settings({**_SENDER, **client_config(self.kafka)})
        self._producer = opened(Producer, config)

    def write(self, requests: Sequence[AnsweredRequest]) -> None:
        """See :class:`streaming.serving.answer_log.AnswerSink`."""
        unsent = sum(len(request.answers) for request in requests)
        try:
            for rows, stamp in self.rows.of(requests):
                plan = ServedPlan(self.application, self.targets, stamp)
                for record in records(rows, 0, plan, 0, round(self.clock().timestamp() * 1_000)):
                    self._send(record)
                    unsent -= 1
        except KafkaException as problem:
            raise self._trouble(problem) from problem
        finally:
            self.counts.answers_logged("failed", unsent)

    def look(self) -> bool:
        """See :class:`streaming.serving.answer_log.AnswerSink`."""
        self._producer.poll(0)
        refused, has_written = self._refused, self._has_written
        self._refused, self._has_written = None, False
        if refused is not None:
            raise self._trouble(KafkaException(refused))
        return has_written

    def close(self, seconds: float) -> None:
        """See :class:`streaming.serving.answer_log.AnswerSink`."""
        self._producer.flush(seconds)
        self._producer.purge()
        self._producer.flush(_PURGE_SECONDS)

    def _send(self, record: Record) -> None:
        topic, _, key, value, timestamp, headers, _ = record

        def produce() -> None:
            self._producer.produce(topic, value, key, timestamp=timestamp, headers=headers, on_delivery=self._delivered)

        # While this waits, the log's own queue fills, and drops what comes on top.
        enqueue(self._producer, produce)

    def _delivered(self, error: KafkaError | None, _message: Message) -> None:
        self.counts.answers_logged("written" if error is None else "failed", 1)
        self._refused = error or self._refused
        self._has_written |= error is None

    def _trouble(self, problem: KafkaException) -> Exception:
        topics = f"{self.targets.predictions.topic} and {self.targets.dead_letters.topic}"
        rights = Rights(topic=f"WRITE on the topics {topics}")
        return trouble(problem, self.kafka, rights, f"the topics {topics} take no answers")
