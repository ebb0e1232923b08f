"""Events to answers, by the version's own row pass and, for predictions, the stream's own serialiser.

A few events are scored one by one without Arrow, whose calls take a hundred times as long as a single event's
arithmetic. What has no answer that way, as each event that is rejected, goes through a pass over a batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.dead_letter import Reason, Rejection
from streaming.clock import Clock, isoformat
from streaming.errors import LookupUnavailableError, ScoringError
from streaming.events import columns as c
from streaming.lookup_state import LookupState
from streaming.models.served import ServedModel
from streaming.outputs.arrow_times import written_time, written_times
from streaming.outputs.arrow_values import ValueWriter, prediction_values
from streaming.outputs.envelope import Stamp
from streaming.scoring.in_process import own_row_pass
from streaming.scoring.row_pass import JsonRowPass, SingleAnswer
from streaming.serving.arms import ArmsOf, EventAnswer, ServedArm, ServedArms
from streaming.serving.chain import ServedChain
from streaming.serving.looked_up import ServedTable, columns_of, no_table, of_event, of_rows

MOST_SINGLY = 32
"""Events that are scored one by one; a pass over more takes less time than that."""
THROWN = Rejection(Reason.SCORING_FAILED.value)
"""The stream says this of an event on which Spark's pipeline throws, too."""
_HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
_MOMENT = pa.timestamp("us", tz="UTC")

T = TypeVar("T")
Positions = Iterator[int]


@dataclass
class EventPasses:
    """Makes the functions that score events. Events and predictions have the form that they have on topics.

    Attributes:
        source: stands where the stream has a topic's name; the process's own, so that ids do not meet.
        clock: gives the time of scoring, which is also the time of an event whose envelope names none.
        arms: says which arms answer beside the version that serves; ``None`` where no rollout is followed.
        numbers: stand where the stream has offsets.
        unread: the events' fields that nobody reads, as the versions before have learnt them.
        table: has the columns that events are given; ``None`` where they have all.
        chain: answers events on which a version throws, and counts that; ``None`` where nothing does.
    """

    source: str
    clock: Clock
    arms: ArmsOf | None = None
    numbers: Positions = field(default_factory=itertools.count)
    unread: tuple[str, ...] = ()
    table: ServedTable | None = None
    chain: ServedChain | None = None

    def __call__(self, model: ServedModel) -> Callable[[Sequence[bytes]], list[EventAnswer]]:
        """Return the pass of a version: each event's JSON value, or why the stream would make a dead letter of it.

        It raises ``ScoringError`` where the model throws on one of several events.
        """
        return _EventPass(self, model)


class _EventPass:
    """The pass of one thread over the events of all arms."""

    def __init__(self, own: EventPasses, model: ServedModel) -> None:
        self._own = own
        self._model = model
        self._alone = ServedArms(ServedArm(model))
        self._champion = replace(own_row_pass(model), unread=own.unread)
        self._candidate: tuple[ServedModel, JsonRowPass] | None = None
        self._looked_up = columns_of(self._champion)

    def __call__(self, values: Sequence[bytes]) -> list[EventAnswer]:
        try:
            return self._answers(values)
        except LookupUnavailableError as problem:
            raise no_table(problem) from problem

    def _answers(self, values: Sequence[bytes]) -> list[EventAnswer]:
        own = self._own
        arms = self._alone if own.arms is None else own.arms(self._model)
        now = own.clock()
        state = None if own.table is None else own.table.state(now)
        micros = int(now.timestamp() * 1_000_000)
        # One iterator for all threads: its next number is taken in one step of the interpreter.
        numbers = [next(own.numbers) for _ in values]
        write = _ArmWriters(own.source, isoformat(now), micros)
        answers: dict[int, EventAnswer] = {}
        if len(values) <= MOST_SINGLY:
            for at, value in enumerate(values):
                single = self._single(arms, value, state)
                if single is not None:
                    arm, scored = single
                    looked_up = of_event(scored.event, self._looked_up)
                    answers[at] = EventAnswer(write.single(arm, numbers[at], scored), arm, looked_up)
        unanswered = [at for at in range(len(values)) if at not in answers]
        if unanswered:
            records = records_of([values[at] for at in unanswered], micros, iter([numbers[at] for at in unanswered]))
            answers |= zip(unanswered, self._together(arms, records, write, state), strict=True)
            own.unread = self._champion.learnt()
        if own.chain is not None:
            _tell(own.chain, answers.values())
        return [answers[at] for at in range(len(values))]

    def _single(
        self, arms: ServedArms, value: bytes, state: LookupState | None
    ) -> tuple[ServedArm, SingleAnswer] | None:
        event = self._champion.single_event(value, state)
        if event is None:
            return None
        arm, row_pass = arms.champion, self._champion
        if arms.candidate is not None and arms.is_candidates(event.get(c.SUBJECT), event.get(c.EVENT_ID)):
            arm, row_pass = arms.candidate, self._pass_of(arms.candidate)
        try:
            # Each version reads the columns of its own signature.
            scored = row_pass.single_answer(event) if arm is arms.champion else row_pass.single(value)
        except ScoringError:
            return None
        return None if scored is None else (arm, scored)

    def _together(
        self, arms: ServedArms, records: pa.RecordBatch, write: _ArmWriters, state: LookupState | None
    ) -> Iterable[EventAnswer]:
        if arms.candidate is None:
            return self._scored(arms.champion, records, write, state)
        mask = self._of_candidate(arms, arms.candidate, records)
        if not mask.true_count:
            return self._scored(arms.champion, records, write)
        ours = iter(self._scored(arms.champion, records.filter(pc.invert(mask)), write))
        theirs = iter(self._scored(arms.candidate, records.filter(mask), write))
        return [next(theirs if is_candidates else ours) for is_candidates in mask.to_pylist()]

    def _of_candidate(self, arms: ServedArms, candidate: ServedArm, records: pa.RecordBatch) -> pa.BooleanArray:
        """Return which records are the candidate's, as far as either version can read whose they are."""
        reads = [row_pass.decoded(records) for row_pass in (self._champion, self._pass_of(candidate))]
        keys, event_ids = (pc.coalesce(*(read.column(name) for read in reads)) for name in (c.SUBJECT, c.EVENT_ID))
        pairs = zip(keys.to_pylist(), event_ids.to_pylist(), strict=True)
        return pa.array([arms.is_candidates(key, event_id) for key, event_id in pairs], pa.bool_())

    def _scored(
        self, arm: ServedArm, records: pa.RecordBatch, write: _ArmWriters, state: LookupState | None = None
    ) -> list[EventAnswer]:
        if not records.num_rows:
            return []
        try:
            rows = self._pass_of(arm).score(records, state)
        except ScoringError:
            if records.num_rows != 1:
                raise
            return [self._behind(arm, records, write)]
        values = zip(_predictions(rows, write.stamp(arm)), of_rows(rows, self._looked_up), strict=True)
        return [EventAnswer(value, arm, looked_up) for value, looked_up in values]

    def _behind(self, arm: ServedArm, records: pa.RecordBatch, write: _ArmWriters) -> EventAnswer:
        """Answer one event on which an arm's version throws, by the fallback chain if there is one."""
        chain = self._own.chain
        if chain is None:
            return EventAnswer(THROWN, arm)
        chain.threw(arm.model)
        for following in chain.after(arm):
            try:
                rows = own_row_pass(following.model).score(records)
            except ScoringError:
                chain.threw(following.model)
                continue
            (value,) = _predictions(rows, write.stamp(following))
            return EventAnswer(value, following)
        return EventAnswer(THROWN, arm)

    def _pass_of(self, arm: ServedArm) -> JsonRowPass:
        if arm.model is self._model:
            return self._champion
        if self._candidate is None or self._candidate[0] is not arm.model:
            self._candidate = arm.model, own_row_pass(arm.model)
        return self._candidate[1]


def _tell(chain: ServedChain, answers: Iterable[EventAnswer]) -> None:
    """Tell a chain which versions have answered something."""
    models = {answer.arm.model.key: answer.arm.model for answer in answers if not isinstance(answer.value, Rejection)}
    for model in models.values():
        chain.answered(model)


class _ArmWriters:
    """Writes the predictions of one pass, by each arm's stamp.

    Args:
        source: stands for the topic.
        scored_at: RFC 3339.
        micros: the moment of an event that names none, in microseconds since 1970.
    """

    def __init__(self, source: str, scored_at: str, micros: int) -> None:
        self._source = source
        self._scored_at = scored_at
        self._micros = micros
        self._writers: dict[ServedArm, ValueWriter] = {}

    def stamp(self, arm: ServedArm) -> Stamp:
        return stamp_of(arm, self._source, self._scored_at)

    def single(self, arm: ServedArm, number: int, single: SingleAnswer) -> bytes:
        """Return a prediction as :func:`_predictions` does."""
        writer = self._writers.get(arm)
        if writer is None:
            writer = self._writers[arm] = ValueWriter(self.stamp(arm))
        event, (prediction, label, probability) = single
        event_time = written_time(event.get(c.EVENT_TIME, self._micros) // 1_000)
        confidence = None if probability is None else max(probability)
        event_id = event.get(c.EVENT_ID, f"0-{number}")
        return writer.value((0, number, event_id, event_time, prediction, label, probability, confidence))


def stamp_of(arm: ServedArm, source: str, scored_at: str) -> Stamp:
    """Return what an arm's predictions of one moment have in common."""
    if arm.degraded is None:
        return Stamp(source, arm.model.version, arm.role, scored_at, arm.weights)
    reason, instead_of = arm.degraded
    return Stamp(source, arm.model.version, arm.role, scored_at, degraded=reason, instead_of=instead_of.name)


def records_of(values: Sequence[bytes], micros: int | Sequence[int], numbers: Positions) -> pa.RecordBatch:
    """Return events as records of Kafka would bring them: without key and headers, each at a position of its own.

    Args:
        values: of n events.
        micros: the records' timestamp, or each one's own, in microseconds since 1970.
        numbers: give their offsets.
    """
    rows = len(values)
    return pa.record_batch(
        {
            "key": pa.nulls(rows, pa.binary()),
            "value": pa.array(values, pa.binary()),
            "headers": pa.nulls(rows, _HEADERS),
            "partition": pa.array(np.zeros(rows, np.int32)),
            "offset": pa.array([next(numbers) for _ in range(rows)], pa.int64()),
            "timestamp": pa.array(np.full(rows, micros, np.int64)).cast(_MOMENT),
        }
    )


def _predictions(rows: pa.RecordBatch, stamp: Stamp) -> Iterator[bytes | Rejection]:
    verdicts = rows.column(c.VERDICT)
    valid = rows if verdicts.null_count == len(verdicts) else rows.filter(verdicts.is_null())
    made: Iterator[bytes] = iter(())
    if valid.num_rows:
        position = valid.schema.get_field_index(c.EVENT_TIME)
        timed = valid.set_column(position, c.EVENT_TIME, written_times(valid.column(position)))
        made = iter(prediction_values(timed, [stamp]))
    return merged(verdicts, made)


def merged(verdicts: pa.StructArray, made: Iterator[T]) -> Iterator[T | Rejection]:
    """Yield each row's rejection, or the next of what was made for the valid ones."""
    if verdicts.null_count == len(verdicts):
        yield from made
        return
    for verdict in verdicts.to_pylist():
        yield next(made) if verdict is None else Rejection(**verdict)
