"""The topics of a rollout's judge; it joins no group and commits nothing, and writes to the ledger alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from schemas.drift import SummaryRecord, read_summary
from schemas.shadow_prediction import ShadowPrediction, read_shadow
from streaming.adapters.kafka.ledger_tail import CLOCK_SKEW, LedgerTail, append_record
from streaming.adapters.kafka.recording import KafkaStretch, Span
from streaming.adapters.kafka.scan import KafkaScan, stored
from streaming.adapters.kafka.topic_tail import TopicTail
from streaming.clock import moment
from streaming.judging.rounds import JudgeSubject
from streaming.outputs.read_back import Output, read_output
from streaming.quality.tables import LABELS, label_row, tables


@dataclass(frozen=True)
class JudgedTopics:
    """The names of the topics; without one of labels only errors are judged."""

    ledger: str
    shadow: str
    dead_letters: str
    drift: str
    labels: str | None


class KafkaJudgeTopics:
    """Implements :class:`streaming.judging.rounds.JudgeTopics`."""

    def __init__(self, kafka: Mapping[str, str], names: JudgedTopics, subject: JudgeSubject) -> None:
        self._kafka = dict(kafka)
        self._names = names
        self._subject = subject
        self._ledger = LedgerTail(kafka, names.ledger, subject.application)
        self._tails: dict[str, TopicTail] = {}

    def begin(self, declared: datetime) -> None:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        for tail in self._tails.values():
            tail.close()
        shadow, letters, drift = self._names.shadow, self._names.dead_letters, self._names.drift
        since = declared - CLOCK_SKEW
        self._tails = {
            shadow: TopicTail(self._kafka, shadow, lambda: self._written_since(shadow, since)),
            # Dead letters have the times of their events, which may be older than the rollout by any length.
            letters: TopicTail(self._kafka, letters),
            drift: TopicTail(self._kafka, drift, lambda: self._written_since(drift, since)),
        }

    def close(self) -> None:
        """Let go of the broker."""
        self._ledger.close()
        for tail in self._tails.values():
            tail.close()

    def whole_ledger(self) -> Iterator[Mapping[str, Any]]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        return self._ledger.to_end()

    def fresh_ledger(self) -> Iterator[Mapping[str, Any]]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        return self._ledger.fresh(0.0)

    def shadow(self) -> Iterator[tuple[bytes | None, ShadowPrediction]]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        for message in self._tails[self._names.shadow].fresh():
            record = read_shadow(message.value())
            if record is not None:
                yield message.key(), record

    def labels(self, since: datetime) -> Iterator[pa.Table]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        topic = self._names.labels
        if topic is None:
            return
        lateness = self._subject.rules.lateness
        if topic not in self._tails:
            self._tails[topic] = TopicTail(self._kafka, topic, lambda: self._written_since(topic, since - lateness))
        rows = (
            label_row(message.value(), message.key(), max(0, message.timestamp()[1]), message.offset() or 0)
            for message in self._tails[topic].fresh()
        )
        yield from tables((row for row in rows if row is not None), LABELS)

    def letters(self) -> Iterator[tuple[bytes | None, Output]]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        for message in self._tails[self._names.dead_letters].fresh():
            output = read_output(stored(message))
            if output is not None and (output.kind, output.application) == ("dead letter", self._subject.application):
                yield message.key(), output

    def drift(self) -> Iterator[tuple[datetime, SummaryRecord]]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        for message in self._tails[self._names.drift].fresh():
            summary = read_summary(message.value())
            if summary is not None:
                yield moment(message.timestamp()[1] / 1_000), summary

    def lag(self) -> dict[str, int]:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        names = self._names
        roles: dict[str | None, str] = {
            names.shadow: "shadow",
            names.dead_letters: "dead letters",
            names.drift: "drift",
            names.labels: "labels",
        }
        return {roles[topic]: tail.lag() for topic, tail in self._tails.items()}

    def write(self, record: Mapping[str, Any]) -> None:
        """See :class:`streaming.judging.rounds.JudgeTopics`."""
        append_record(self._kafka, self._names.ledger, self._subject.application, record)

    def _written_since(self, topic: str, since: datetime) -> dict[int, int]:
        with KafkaScan(self._kafka, self._subject.application) as scan:
            ranges = KafkaStretch(scan, topic).ranges(Span(since=max(since, moment(0))))
            return {partition: part.start for partition, part in ranges.items()}
