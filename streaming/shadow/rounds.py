"""Answers to pairs, round after round: read some, read their events, score these, write, and remember how far.

A round is one transaction. What was not committed is read again, so each answer has its shadow once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from schemas.shadow_prediction import PairedAnswer, ShadowPrediction
from streaming.clock import Clock, instant, isoformat
from streaming.models.ref import ModelKey
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.records import Fields
from streaming.shadow.pairing import PairingRules, ShadowTask, SkipReason
from streaming.shadow.scoring import InputEvent, ShadowScorer
from streaming.shadow.served import Coordinates, ServedAnswer
from streaming.shadow.steps import RolloutSteps
from streaming.shadow.versions import ShadowVersions

OutputPartition = tuple[str, int]
"""A topic and a partition, of predictions or dead letters."""
Positions = Mapping[OutputPartition, int]


@dataclass(frozen=True)
class ServedChunk:
    """Some answers of rollouts, in the order of each partition.

    ``positions`` are the offsets from which to go on: also what was passed over is behind them.
    """

    answers: Sequence[ServedAnswer]
    positions: Positions


@dataclass(frozen=True)
class PairedRecord:
    """A shadow prediction, and the event's key and partition."""

    key: bytes | None
    partition: int
    pair: ShadowPrediction


class EventSource(Protocol):
    """The input topic."""

    def events(self, asked: Mapping[int, Sequence[int]]) -> Mapping[Coordinates, InputEvent]:
        """Return the events at these offsets of each partition, ascending; what is gone is left out.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        ...


class ShadowSink(Protocol):
    """The shadow topic."""

    def write(self, records: Sequence[PairedRecord], positions: Positions) -> Sequence[PairedRecord]:
        """Write the records and the positions together; return the records without those too large for the topic.

        Raises:
            FencedError: another shadow of this application has begun.
            BrokerUnavailableError: the broker does not answer.
        """
        ...


class ShadowObserver(Protocol):
    """Hears what came of each round."""

    def paired(self, pair: ShadowPrediction) -> None:
        """Note a pair that is on the topic."""
        ...

    def skipped(self, reason: SkipReason, count: int) -> None:
        """Note answers without a shadow."""
        ...

    def lag(self, seconds: float) -> None:
        """Note how old the latest answer is."""
        ...


@dataclass
class ShadowRounds:
    """Takes chunks of answers.

    Attributes:
        application: whose rollouts are followed.
        topic: the input topic.
        rules: what bounds the cost.
        ledger: yields the ledger's records of rollouts that it has not yielded before.
        versions: the versions that score.
        events: the input topic.
        sink: the shadow topic.
        observer: hears what came of it.
        clock: gives the time of scoring.
    """

    application: str
    topic: str
    rules: PairingRules
    ledger: Callable[[], Iterable[Fields]]
    versions: ShadowVersions
    events: EventSource
    sink: ShadowSink
    observer: ShadowObserver
    clock: Clock
    _asked: set[WeightEpoch] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Know no step yet."""
        self._steps = RolloutSteps(self.application)

    def take(self, chunk: ServedChunk) -> int:
        """Pair a chunk's answers, write them, and return how many pairs that were.

        Raises:
            UpstreamError: the registry or the broker does not answer; the chunk is to be read again.
            FencedError: another shadow of this application has begun.
        """
        now = self.clock()
        self._read_ledger(chunk.answers)
        records = self._paired(self._tasks(chunk.answers, now), isoformat(now))
        written = self.sink.write(records, chunk.positions)
        self._skipped(SkipReason.TOO_LARGE, len(records) - len(written))
        for record in written:
            self.observer.paired(record.pair)
        if chunk.answers:
            self.observer.lag((now - instant(chunk.answers[-1].fields.scored_at)).total_seconds())
        return len(written)

    def _read_ledger(self, answers: Sequence[ServedAnswer]) -> None:
        """Read on if a step is not known; its transition was written before the job planned by it."""
        unknown = {answer.step for answer in answers if self._steps.of(answer.step) is None} - self._asked
        if unknown:
            for record in self.ledger():
                self._steps.add(record)
            self._asked |= unknown

    def _tasks(self, answers: Sequence[ServedAnswer], now: datetime) -> list[ShadowTask]:
        decided = [self.rules.task(served, self._steps.of(served.step), now) for served in answers]
        for reason in SkipReason:
            self._skipped(reason, decided.count(reason))
        return [task for task in decided if isinstance(task, ShadowTask)]

    def _paired(self, tasks: Sequence[ShadowTask], scored_at: str) -> list[PairedRecord]:
        """Return the pairs in the order of the answers."""
        scorers = self._scorers(tasks)
        scored = [task for task in tasks if task.version in scorers]
        self._skipped(SkipReason.VERSION_REFUSED, len(tasks) - len(scored))
        # Only what has a scorer is read: a refused version would else cost as much as one that serves.
        events = self._events_of(scored)
        there = [task for task in scored if task.coordinates in events]
        self._skipped(SkipReason.EVENT_GONE, len(scored) - len(there))
        answers: dict[int, PairedAnswer] = {}
        for version, scorer in scorers.items():
            own = [number for number, task in enumerate(there) if task.version == version]
            if own:
                answers |= zip(own, scorer.answers([events[there[n].coordinates] for n in own]), strict=True)
        return [self._record(task, answers[number], scored_at) for number, task in enumerate(there)]

    def _scorers(self, tasks: Sequence[ShadowTask]) -> dict[ModelKey, ShadowScorer]:
        scorers = {version: self.versions.scorer(version) for version in dict.fromkeys(task.version for task in tasks)}
        return {version: scorer for version, scorer in scorers.items() if scorer is not None}

    def _events_of(self, tasks: Sequence[ShadowTask]) -> Mapping[Coordinates, InputEvent]:
        asked: dict[int, set[int]] = {}
        for task in tasks:
            topic, partition, offset = task.served.position
            # What the job read before its input topic was changed cannot be read here.
            if topic == self.topic:
                asked.setdefault(partition, set()).add(offset)
        return self.events.events({partition: sorted(offsets) for partition, offsets in asked.items()})

    def _record(self, task: ShadowTask, answer: PairedAnswer, scored_at: str) -> PairedRecord:
        served = task.served
        topic, partition, offset = served.position
        pair = ShadowPrediction(
            prediction_id=served.fields.prediction_id,
            event_id=served.fields.event_id,
            event_time=served.fields.event_time,
            source_topic=topic,
            source_partition=partition,
            source_offset=offset,
            application=self.application,
            rollout=served.step.rollout,
            weight_epoch=served.step.epoch,
            role=task.role,
            scored_at=scored_at,
            served=served.answer,
            shadow=answer,
        )
        return PairedRecord(served.key, partition, pair)

    def _skipped(self, reason: SkipReason, count: int) -> None:
        if count:
            self.observer.skipped(reason, count)
