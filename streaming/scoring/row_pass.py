"""Records to scored rows in one pass over Arrow batches: what decoder and scorer of a version do in frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame

from schemas.dead_letter import Reason, Rejection
from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.events.arrow_guards import guarded
from streaming.events.arrow_records import decoded_rows
from streaming.events.arrow_verdicts import VERDICT_STRUCT, rows_of, with_verdicts
from streaming.events.columns import RESULTS
from streaming.events.single_guards import SingleTest, single_test
from streaming.formats.json.tiers.decoder import TieredRowDecoder
from streaming.formats.json.tiers.single import SingleEvent
from streaming.lookup_state import LookupState
from streaming.models.arrow_types import feature_schema
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelVersion
from streaming.models.seams import ArrowScorer, ColumnLookup, Guard
from streaming.pickling import PickledByFields
from streaming.scoring.arrow_bins import ProfileBins
from streaming.scoring.arrow_frames import ArrowFrames, scored_over
from streaming.scoring.arrow_results import with_invalid_predictions
from streaming.scoring.compiled.row_program import ModelAnswer, RowProgram
from streaming.scoring.throwing import thrown_on
from streaming.scoring_time import ScoringTime
from streaming.settings import EventSettings

_HEADER = pa.struct([("key", pa.string()), ("value", pa.binary())])
_MOMENT = pa.timestamp("us", tz="UTC")
BEFORE = (
    (c.KEY, pa.binary()),
    (c.VALUE, pa.binary()),
    (c.HEADERS, pa.list_(_HEADER)),
    (c.PARTITION, pa.int32()),
    (c.OFFSET, pa.int64()),
    (c.TIMESTAMP, _MOMENT),
    (c.EVENT_ID, pa.string()),
    (c.EVENT_TIME, _MOMENT),
    (c.SUBJECT, pa.string()),
)
"""The source columns and the envelope without its verdict."""


class SingleAnswer(NamedTuple):
    """One valid event: its columns, and what the model says of it."""

    event: SingleEvent
    answer: ModelAnswer


@dataclass(frozen=True)
class JsonRowPass(PickledByFields):
    """A :class:`streaming.models.seams.RowPass` over JSON.

    Attributes:
        package: the version, whose signature and profile are used.
        envelope: how the job's events are read; ``max_value_bytes`` bounds them.
        guards: what must hold of a feature for the scorer not to throw on it.
        scorer: scores valid events.
        program: scores single ones; ``None`` in tasks of Spark, which have batches, and where there is no such form.
        unread: fields of the events that nobody reads, as another pass has learnt them.
        lookup: gives events the columns that they do not have; ``None`` where they have all.
    """

    package: ModelPackage
    envelope: EventSettings
    max_value_bytes: int
    guards: tuple[Guard, ...]
    scorer: ArrowScorer
    program: RowProgram | None = None
    unread: tuple[str, ...] = ()
    lookup: ColumnLookup | None = None

    @property
    def others(self) -> tuple[ModelVersion, ...]:
        """None: one version scores every row."""
        return ()

    def score(self, records: pa.RecordBatch, at: LookupState | None = None) -> pa.RecordBatch:
        """Decode, look up, guard, score, judge and bin; see :meth:`streaming.models.seams.RowPass.score`."""
        read = self._read(records, at)
        decoded = _with_column(decoded_rows(records, read, self.envelope), c.VERDICT, guarded(read, self.guards))
        scored = self._answered_safely(decoded)
        scored = _with_column(scored, c.VERDICT, with_invalid_predictions(scored.column(c.VERDICT), scored))
        return _with_column(scored, c.BINS, self._binned(scored)).select(self._schema.names)

    def counts(self) -> dict[str, float]:
        """See :meth:`streaming.models.seams.RowPass.counts`."""
        return {} if self.lookup is None else self.lookup.counts()

    def times(self) -> Mapping[int, ScoringTime]:
        """Return nothing: there is no other version to compare with."""
        return {}

    def single(self, value: bytes, at: LookupState | None = None) -> SingleAnswer | None:
        """Do the same with one event, without Arrow.

        Returns:
            ``None`` where only :meth:`score` can say what becomes of it, such as of every event that is rejected.
        """
        event = self.single_event(value, at)
        return None if event is None else self.single_answer(event)

    def single_event(self, value: bytes, at: LookupState | None = None) -> SingleEvent | None:
        """Read one event without Arrow, and look its columns up; ``None`` as :meth:`single`."""
        event = None if self.program is None else self._decoder.read_single(value)
        if event is None or self.lookup is None:
            return event
        return self.lookup.single(event, self.package.signature, _required(at))

    def single_answer(self, event: SingleEvent) -> SingleAnswer | None:
        """Score what :meth:`single_event` has read; ``None`` as :meth:`single`."""
        if self.program is None or not all(test(event[column]) for column, test in self._tests):
            return None
        answer = self.program.answer(event)
        return None if answer is None else SingleAnswer(event, answer)

    def decoded(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Return records as they are read, before guards and model: source columns, envelope with verdict, features."""
        return decoded_rows(records, self._decoder.read(records.column("value")), self.envelope)

    def answered(self, records: pa.RecordBatch, answers: pa.RecordBatch) -> pa.RecordBatch:
        """Return what :meth:`score` returned of records that it has answered before, without asking the model again.

        Args:
            records: as for :meth:`score`.
            answers: ``columns.VERDICT``, ``PREDICTION`` and ``CONFIDENCE`` of the same rows.

        Returns:
            The decoded rows with these columns, and their bins; labels and probabilities are left out.
        """
        rows = self.decoded(records)
        for name in answers.schema.names:
            rows = _with_column(rows, name, answers.column(name))
        return _with_column(rows, c.BINS, self._binned(rows))

    def learnt(self) -> tuple[str, ...]:
        """Return the fields that the events have and nobody reads."""
        return self._decoder.unread

    def over(self, records: DataFrame, at: LookupState | None = None) -> DataFrame:
        """Do the same with a frame of records; see :meth:`streaming.models.seams.RowPass.over`."""
        return scored_over(records, self, self._schema, at)

    def of_decoded(self, events: DataFrame) -> DataFrame:
        """Score a frame of decoded events; see :meth:`streaming.models.seams.RowPass.of_decoded`."""
        package = self.package
        frames = ArrowFrames(
            session=events.sparkSession,
            scorer=self.scorer,
            signature=package.signature,
            profile=package.profile,
            is_proven=True,
        )
        return frames.score(events)

    @cached_property
    def _schema(self) -> pa.Schema:
        """The columns of what is scored, in the order of :class:`streaming.models.seams.FrameScorer`."""
        after = [(c.VERDICT, VERDICT_STRUCT), (c.BINS, pa.binary()), *([] if self.lookup is None else c.LOOKED_UP)]
        return pa.schema([*BEFORE, *feature_schema(self.package.signature), *RESULTS, *after])

    @cached_property
    def _decoder(self) -> TieredRowDecoder:
        """The decoder of this process. It learns which fields of the events nobody reads."""
        signature = self.package.signature
        own = signature if self.lookup is None else self.lookup.event_signature(signature)
        return TieredRowDecoder(own, self.envelope, self.max_value_bytes, self.unread)

    @cached_property
    def _bins(self) -> ProfileBins | None:
        return None if self.package.profile is None else ProfileBins(self.package.profile)

    def _binned(self, scored: pa.RecordBatch) -> pa.BinaryArray:
        return pa.nulls(scored.num_rows, pa.binary()) if self._bins is None else self._bins.of(scored)

    @cached_property
    def _tests(self) -> list[tuple[str, SingleTest]]:
        return [(guard.column, single_test(guard)) for guard in self.guards]

    def _read(self, records: pa.RecordBatch, at: LookupState | None) -> pa.RecordBatch:
        read = self._decoder.read(records.column("value"))
        if self.lookup is None:
            return read
        return self.lookup.joined(read, records.column("key"), self.package.signature, _required(at))

    def _answered_safely(self, decoded: pa.RecordBatch) -> pa.RecordBatch:
        """Answer valid events. Where columns are looked up, those on which the model throws are rejected here."""
        try:
            return self._answered(decoded)
        except ScoringError:
            # Otherwise the engine has the reference score the batch without them.
            if self.lookup is None:
                raise
            return self._answered(self._without_throwing(decoded))

    def _without_throwing(self, decoded: pa.RecordBatch) -> pa.RecordBatch:
        valid = decoded.column(c.VERDICT).is_null()
        events = decoded.filter(valid).select(list(self.package.signature.names))
        throwing = valid.to_numpy(zero_copy_only=False).copy()
        throwing[throwing] = thrown_on(self.scorer, events)
        rule = throwing, Rejection(Reason.SCORING_FAILED.value)
        return _with_column(decoded, c.VERDICT, with_verdicts(decoded.column(c.VERDICT), [rule]))

    def _answered(self, decoded: pa.RecordBatch) -> pa.RecordBatch:
        """Append the answers to the valid events; of the others they are null."""
        valid = decoded.column(c.VERDICT).is_null()
        names = list(self.package.signature.names)
        # A batch of valid events alone needs no copy of the rows to score.
        if valid.true_count == decoded.num_rows:
            answers = self.scorer.score(decoded.select(names))
            return _with_columns(decoded, answers.schema.names, answers.columns)
        answers = self.scorer.score(decoded.filter(valid).select(names))
        rows = rows_of(valid.to_numpy(zero_copy_only=False))
        return _with_columns(decoded, answers.schema.names, [column.take(rows) for column in answers.columns])


def _required(at: LookupState | None) -> LookupState:
    if at is None:
        raise AssertionError("events whose columns are looked up are scored at a state of the table")
    return at


def _with_columns(batch: pa.RecordBatch, names: list[str], columns: list[pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([*batch.columns, *columns], [*batch.schema.names, *names])


def _with_column(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    position = batch.schema.get_field_index(name)
    return batch.append_column(name, values) if position < 0 else batch.set_column(position, name, values)
