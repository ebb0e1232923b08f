"""The version of a rollout that did not answer a request's events scores them, too, after the answer was given.

It is what :mod:`streaming.shadow` does of the stream's answers, by its own code. A request has no offset to read its
events from later, so they wait in memory with their answers, as those that are logged do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from schemas.dead_letter import STAGE, Reason, Rejection
from schemas.prediction import id_prefix
from schemas.shadow_prediction import ShadowPrediction
from streaming.clock import isoformat, moment
from streaming.events.identity import event_id_of
from streaming.serving.answer_log import AnswerCounts, AnsweredRequest
from streaming.serving.arms import EventAnswer
from streaming.settings import EventSettings
from streaming.shadow.pairing import SkipReason
from streaming.shadow.rounds import PairedRecord, Positions, ServedChunk, ShadowRounds
from streaming.shadow.scoring import InputEvent
from streaming.shadow.served import OF_A_VERSION, Coordinates, ServedAnswer, ServedFields

_FIELDS = msgspec.json.Decoder(ServedFields)
_PARTITION = 0


class PairSender(Protocol):
    """The shadow topic; ``adapters/kafka/served_pairs.py`` implements it."""

    def send(self, record: PairedRecord, /) -> bool:
        """Hand a pair over and count what becomes of it; return false for one that is too large for the topic."""
        ...

    def look(self) -> bool:
        """See :meth:`streaming.serving.answer_log.AnswerSink.look`."""
        ...

    def close(self, seconds: float, /) -> None:
        """See :meth:`streaming.serving.answer_log.AnswerSink.close`."""
        ...


@dataclass
class RequestEvents:
    """Implements :class:`streaming.shadow.rounds.EventSource` by the events of the requests at hand."""

    held: dict[Coordinates, InputEvent] = field(default_factory=dict)

    def events(self, asked: Mapping[int, Sequence[int]]) -> Mapping[Coordinates, InputEvent]:
        """Return the events."""
        coordinates = [(partition, offset) for partition, offsets in asked.items() for offset in offsets]
        return {each: self.held[each] for each in coordinates}


@dataclass
class PairCounter:
    """Implements :class:`streaming.shadow.rounds.ShadowSink` and its observer; ``settled`` answers are counted."""

    sender: PairSender
    counts: AnswerCounts
    settled: int = 0

    def write(self, records: Sequence[PairedRecord], positions: Positions) -> Sequence[PairedRecord]:  # noqa: ARG002
        """Hand the pairs over; a request has no position to go on from."""
        sent = []
        for record in records:
            if self.sender.send(record):
                self.settled += 1
                sent.append(record)
        return sent

    def paired(self, pair: ShadowPrediction) -> None:
        """Count nothing: the sender does, once the broker has it."""

    def skipped(self, reason: SkipReason, count: int) -> None:  # noqa: ARG002 - the counts have no reasons
        """Count answers that get no pair."""
        self.settled += count
        self.counts.answers_logged("skipped", count)

    def lag(self, seconds: float) -> None:
        """Count nothing: what waits is measured in bytes."""


@dataclass
class ShadowAnswers:
    """Implements :class:`streaming.serving.answer_log.AnswerSink`.

    Attributes:
        rounds: pairs answers; its topic is that of the answers' ids, its events are ``events``, and its sink and its
            observer are ``counter``.
        events: holds the events of what is written.
        counter: counts what has become of each answer.
        envelope: how the events name their id and their key.
        numbers: stand for offsets of rejected events, which have none.
    """

    rounds: ShadowRounds
    events: RequestEvents
    counter: PairCounter
    envelope: EventSettings
    numbers: Iterator[int]

    def write(self, requests: Sequence[AnsweredRequest]) -> None:
        """See :class:`streaming.serving.answer_log.AnswerSink`; raises as :meth:`ShadowRounds.take`."""
        counter, before = self.counter, self.counter.settled
        asked = sum(len(request.answers) for request in requests)
        answers = [served for request in requests for served in self._taken(request)]
        counter.counts.answers_logged("skipped", asked - len(answers))
        try:
            self.rounds.take(ServedChunk(answers, {}))
        finally:
            # All are settled unless something was raised.
            counter.counts.answers_logged("failed", len(answers) - (counter.settled - before))
            self.events.held.clear()

    def look(self) -> bool:
        """See :class:`streaming.serving.answer_log.AnswerSink`."""
        return self.counter.sender.look()

    def close(self, seconds: float) -> None:
        """See :class:`streaming.serving.answer_log.AnswerSink`; gives the versions back, too."""
        self.counter.sender.close(seconds)
        self.rounds.versions.close()

    def _taken(self, request: AnsweredRequest) -> Iterator[ServedAnswer]:
        """Yield the answers of a rollout's step that any version can have given, and hold their events."""
        at = isoformat(moment(request.micros / 1_000_000))
        for event, answer in zip(request.events, request.answers, strict=True):
            step = answer.arm.weights
            fields = None if step is None else self._fields(event, answer, at)
            if step is None or fields is None:
                continue
            number = int(fields.prediction_id.rpartition(":")[2])
            key = self._key(event)
            self.events.held[_PARTITION, number] = InputEvent(_PARTITION, number, request.micros // 1_000, key, event)
            yield ServedAnswer(key, (self.rounds.topic, _PARTITION, number), step, fields)

    def _fields(self, event: bytes, answer: EventAnswer, at: str) -> ServedFields | None:
        """Return what a prediction says, or of a rejection what its dead letter would say."""
        if not isinstance(answer.value, Rejection):
            return _FIELDS.decode(answer.value)
        number, version = next(self.numbers), answer.arm.model.version
        event_id = event_id_of(event, self.envelope.id, _PARTITION, number)
        # What no version can read is rejected by both.
        if event_id is None or STAGE[Reason(answer.value.reason)] not in OF_A_VERSION:
            return None
        return ServedFields(
            prediction_id=f"{id_prefix(version.name, answer.arm.role, self.rounds.topic)}{_PARTITION}:{number}",
            event_id=event_id,
            event_time=at,
            prediction=None,
            label=None,
            probability=None,
            confidence=None,
            scored_at=at,
            model_name=version.name,
            model_version=version.version,
            reason=answer.value.reason,
            field=answer.value.field,
        )

    def _key(self, event: bytes) -> bytes | None:
        if self.envelope.key is None:
            return None
        key = event_id_of(event, self.envelope.key, _PARTITION, 0)
        return None if key is None else key.encode()
