"""What a rollout's versions answered, read from the predictions and the shadow topic; it joins no group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from schemas import prediction
from schemas.shadow_prediction import PairedAnswer, ShadowPrediction, read_shadow
from streaming.adapters.kafka.cohorts import prediction_row
from streaming.adapters.kafka.scan import KafkaScan, stored
from streaming.clock import instant
from streaming.judging.pairs import JudgedPair, pair_of
from streaming.quality.tables import ONE_EVENT, distinct, tables
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.rollout.records import Declaration
from streaming.rollout_report.answers import ANSWERS, PairedSides

Row = dict[str, Any]


class RolloutAnswers(NamedTuple):
    """What was answered, of :data:`streaming.rollout_report.answers.ANSWERS`.

    ``reached`` is the latest event time of the application's predictions since the rollout began, of it or not.
    """

    table: pa.Table
    reached: datetime | None


@dataclass(frozen=True)
class KafkaRolloutAnswers:
    """Reads one rollout's answers. ``firsts`` has the first offset that it planned of each partition of ``source``."""

    scan: KafkaScan
    declaration: Declaration
    source: str
    firsts: Mapping[int, int]

    def answers(self, topic: str) -> RolloutAnswers:
        """Return what either arm answered to subscribers.

        Raises:
            BrokerUnavailableError: Kafka does not answer.
        """
        newest = ""

        def rows() -> Iterator[Row]:
            nonlocal newest
            for message in self._messages(topic):
                headers = dict(message.headers() or ())
                if headers.get(prediction.CE_SOURCE) == self._source:
                    # RFC 3339 with a fixed number of digits sorts as text does.
                    newest = max(newest, headers.get(prediction.CE_TIME, b"").decode())
                if (row := self._answer(message, headers)) is not None:
                    yield row

        table = pa.concat_tables([ANSWERS.empty_table(), *tables(rows(), ANSWERS)]).unify_dictionaries()
        return RolloutAnswers(table, instant(newest) if newest else None)

    @property
    def _source(self) -> bytes:
        return f"/penstock/{self.declaration.application}/{self.declaration.candidate.name}".encode()

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
                pair = None if record is None else pair_of(record, message.key(), self.declaration.candidate)
                if pair is not None and self._is_ours(pair.record) and not any(pair.failed):
                    champions.append(_side(pair, pair.champion, CHAMPION))
                    candidates.append(_side(pair, pair.candidate, CANDIDATE))
        if not champions:
            return None
        # An event that is there twice is so on both sides, so that rows stay beside each other.
        return PairedSides(*(distinct(_table(rows), ONE_EVENT) for rows in (champions, candidates)))

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

    def _answer(self, message: Any, headers: Mapping[str, bytes]) -> Row | None:
        if headers.get(prediction.ROLLOUT) != self.declaration.name.encode():
            return None
        whose = self.declaration.application, self.declaration.candidate.name
        row = prediction_row(stored(message), message.key(), whose)
        if row is None:
            return None
        is_candidate = row["version"] == self.declaration.candidate.version
        epoch = int(headers[prediction.WEIGHT_EPOCH])
        return {**row, "role": CANDIDATE if is_candidate else CHAMPION, "weight_epoch": epoch}

    def _is_ours(self, record: ShadowPrediction) -> bool:
        return (record.application, record.rollout) == (self.declaration.application, self.declaration.name)


def _side(pair: JudgedPair, answer: PairedAnswer, arm: str) -> Row:
    record, probability = pair.record, answer.probability
    return {
        "prediction_id": record.prediction_id,
        "event_id": record.event_id,
        "key": pair.key,
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
