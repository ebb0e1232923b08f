"""Pairs of a server's answers on the shadow topic, sent without waiting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.output_topics import output_topic, require_all_kept
from streaming.adapters.kafka.unawaited import UnawaitedSender
from streaming.outputs.records import RECORD_OVERHEAD
from streaming.outputs.targets import Target
from streaming.serving.answer_log import AnswerCounts
from streaming.settings import OutputSettings
from streaming.shadow.rounds import PairedRecord


def pairs_target(kafka: Mapping[str, str], output: OutputSettings, topic: str, application: str) -> Target:
    """Return the shadow topic, created where it is missing and that is allowed.

    Raises:
        ConfigurationError: it is missing, or would not keep every pair; or the broker refuses us.
        BrokerUnavailableError: Kafka does not answer.
    """
    admin = KafkaAdmin(kafka, application)
    # As many partitions as the broker gives a topic by default: there is no input whose number it could have.
    target = admin.target(output_topic(output, admin, topic, -1, {"retention.ms": str(output.retention_ms)}))
    require_all_kept(target, "output.shadow", "pairs of one key would replace each other")
    return target


class KafkaPairs:
    """Implements :class:`streaming.serving.shadow_answers.PairSender`."""

    def __init__(self, kafka: Mapping[str, str], application: str, to: Target, counts: AnswerCounts) -> None:
        """Open the client; raises ``ConfigurationError`` for what it does not take.

        Args:
            kafka: Kafka's settings.
            application: the server's own name, so that its pairs do not mix with the stream's.
            to: the shadow topic.
            counts: is told what has become of each pair.
        """
        self._application = application
        self._to = to
        self._sender = UnawaitedSender(kafka, (to.topic,), counts.answers_logged)

    def send(self, record: PairedRecord) -> bool:
        """See :class:`streaming.serving.shadow_answers.PairSender`."""
        value = replace(record.pair, application=self._application).to_json()
        if len(value) + len(record.key or b"") + RECORD_OVERHEAD > self._to.max_record_bytes:
            return False
        self._sender.send(self._to.topic, value, record.key)
        return True

    def look(self) -> bool:
        """See :class:`streaming.serving.answer_log.AnswerSink`."""
        return self._sender.look()

    def close(self, seconds: float) -> None:
        """See :class:`streaming.serving.answer_log.AnswerSink`."""
        self._sender.close(seconds)
