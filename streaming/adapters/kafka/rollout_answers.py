"""What a rollout's versions answered, read from the predictions and the shadow topic; it joins no group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from schemas import prediction
from schemas.shadow_prediction import PairedAnswer, ShadowPrediction, read_shadow
from streaming.adapters.kafka.cohorts import prediction_row
from streaming.adapters.kafka.scan import KafkaScan, stored
from streaming.clock import instant
from streaming.models.ref import ModelKey
from streaming.quality.tables import distinct, tables
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.rollout.records import Declaration
from streaming.rollout_report.answers import ANSWERS, PairedSides

Row = dict[str, Any]


@dataclass(frozen=True)
class KafkaRolloutAnswers:
    """Reads one rollout's answers. ``firsts`` has the first offset that it planned of each partition of ``source``."""

    scan: KafkaScan
    declaration: Declaration
    source: str
    firsts: Mapping[int, int]

    def answers(self, topic: str) -> pa.Table:
        """Return what either arm answered to subscribers, of :data:`streaming.rollout_report.answers.ANSWERS`.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
        """
        rows = (row for message in self._messages(topic) if (row := self._answer(message)) is not None)
        return pa.concat_tables([ANSWERS.empty_table(), *tables(rows, ANSWERS)]).unify_dictionaries()

    def pairs(self, topic: str) -> PairedSides | None:
        """Return the events that both versions answered; ``None`` where the topic has none of this rollout's.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
        """
        if not self.scan.partitions(topic):
            return None
        champions: list[Row] = []
        candidates: list[Row] = []
        for partition in range(self.scan.partitions(topic)):
            for message in self.scan.messages(topic, partition, *self.scan.extent(topic, partition)):
                record = read_shadow(message.value())
                both = None if record is None else self._both(record)
                if record is not None and both is not None:
                    champion, candidate = both
                    champions.append(_side(record, champion, CHAMPION, message.key()))
                    candidates.append(_side(record, candidate, CANDIDATE, message.key()))
        if not champions:
            return None
        # A record that is written twice is so on both sides, so that rows stay beside each other.
        return PairedSides(*(distinct(_table(rows)) for rows in (champions, candidates)))

    def _messages(self, topic: str) -> Iterator[Any]:
        partitions = self.scan.partitions(topic)
        for partition in range(partitions):
            times = [
                self.scan.timestamp(self.source, source, first)
                for source, first in self.firsts.items()
                if source % partitions == partition
            ]
            start, end = self.scan.extent(topic, partition)
            # Without the first event, whose time is where to begin, all there is has to be looked at.
            if times and None not in times:
                start = self.scan.offset_at(topic, partition, min(time for time in times if time is not None))
            yield from self.scan.messages(topic, partition, start, end)

    def _answer(self, message: Any) -> Row | None:
        headers = dict(message.headers() or ())
        if headers.get(prediction.ROLLOUT) != self.declaration.name.encode():
            return None
        whose = self.declaration.application, self.declaration.candidate.name
        row = prediction_row(stored(message), message.key(), whose)
        if row is None:
            return None
        is_candidate = row["version"] == self.declaration.candidate.version
        epoch = int(headers[prediction.WEIGHT_EPOCH])
        return {**row, "role": CANDIDATE if is_candidate else CHAMPION, "weight_epoch": epoch}

    def _both(self, record: ShadowPrediction) -> tuple[PairedAnswer, PairedAnswer] | None:
        """Return the champion's answer and the candidate's, if both have one."""
        mine = self.declaration.application, self.declaration.name
        answers = record.served, record.shadow
        if (record.application, record.rollout) != mine or any(each.prediction is None for each in answers):
            return None
        is_candidate = [ModelKey(each.model, each.version) == self.declaration.candidate for each in answers]
        if is_candidate == [True, False]:
            return record.shadow, record.served
        return answers if is_candidate == [False, True] else None


def _side(record: ShadowPrediction, answer: PairedAnswer, arm: str, key: bytes | None) -> Row:
    probability = answer.probability
    return {
        "prediction_id": record.prediction_id,
        "event_id": record.event_id,
        "key": key,
        "event_time": instant(record.event_time),
        "prediction": answer.prediction,
        "label": answer.label,
        # A probability that is no number makes the others meaningless.
        "probability": None if probability is None or None in probability else list(probability),
        "version": answer.version,
        "role": arm,
        "partition": record.source_partition,
        "offset": record.source_offset,
        "weight_epoch": record.weight_epoch,
    }


def _table(rows: list[Row]) -> pa.Table:
    return pa.concat_tables([ANSWERS.empty_table(), *tables(rows, ANSWERS)]).unify_dictionaries()
