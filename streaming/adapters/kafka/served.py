"""A server's answers on Kafka: predictions and dead letters as the stream's writer makes them, sent without waiting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.output_topics import output_topic, require_all_kept, require_dead_letters
from streaming.adapters.kafka.unawaited import UnawaitedSender
from streaming.clock import Clock, system_clock
from streaming.offsets import Offsets
from streaming.outputs.envelope import Stamp
from streaming.outputs.records import records
from streaming.outputs.targets import Targets
from streaming.serving.answer_log import AnswerCounts, AnsweredRequest
from streaming.serving.answer_rows import AnswerRows
from streaming.settings import OutputSettings


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

    def __post_init__(self) -> None:
        """Open the client, which connects by itself; raises ``ConfigurationError`` for what it does not take."""
        topics = self.targets.predictions.topic, self.targets.dead_letters.topic
        self._sender = UnawaitedSender(self.kafka, topics, self.counts.answers_logged)

    def write(self, requests: Sequence[AnsweredRequest]) -> None:
        """See :class:`streaming.serving.answer_log.AnswerSink`."""
        unsent = sum(len(request.answers) for request in requests)
        try:
            for rows, stamp in self.rows.of(requests):
                plan = ServedPlan(self.application, self.targets, stamp)
                for record in records(rows, 0, plan, 0, round(self.clock().timestamp() * 1_000)):
                    topic, _, key, value, timestamp, headers, _ = record
                    self._sender.send(topic, value, key, timestamp=timestamp, headers=headers)
                    unsent -= 1
        finally:
            self.counts.answers_logged("failed", unsent)

    def look(self) -> bool:
        """See :class:`streaming.serving.answer_log.AnswerSink`."""
        return self._sender.look()

    def close(self, seconds: float) -> None:
        """See :class:`streaming.serving.answer_log.AnswerSink`."""
        self._sender.close(seconds)
