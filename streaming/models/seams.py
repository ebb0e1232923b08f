"""How the events of a version are read and scored, whatever their format and its flavour.

These are declared where a version carries them, and implemented further out: decoders in ``events`` and ``formats``,
scorers in ``scoring``. Types of Spark and Arrow are only named here; neither is imported when this runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from schemas.dead_letter import Reason
from streaming.lookup_state import LookupState
from streaming.models.ref import ModelVersion
from streaming.models.signature import Signature
from streaming.scoring_time import ScoringTime

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame

Features = Mapping[str, Any]
"""An event's values by the names of the signature's columns."""

Poison = tuple[tuple[int, int], ...]
"""Partition and offset of rows on which a scorer was seen to throw."""


class Guard(Protocol):
    """What must hold of a feature for the version's scorer not to throw on it."""

    @property
    def column(self) -> str:
        """The feature's name."""
        ...

    @property
    def reason(self) -> Reason:
        """Why an event is rejected for it."""
        ...

    def fails(self, value: Column) -> Column:
        """Return true where the scorer would throw."""
        ...

    def allows(self, value: Any) -> bool:
        """Return whether the scorer takes a value: the opposite of :meth:`fails`, without Spark."""
        ...

    def examples(self) -> Iterator[Any]:
        """Yield values that may be allowed."""
        ...


class Decoder(Protocol):
    """Reads records in Spark, for the engines, batch and replay, by the rules of one version and one format."""

    @property
    def guards(self) -> tuple[Guard, ...]:
        """What the version asks of its features."""
        ...

    @property
    def safe_row(self) -> Features:
        """What stands in the place of a rejected event's features; see :attr:`FrameScorer.is_proven`."""
        ...

    @property
    def poison(self) -> Poison:
        """Rows that are rejected as ``SCORING_FAILED``."""
        ...

    def __call__(self, records: DataFrame, /) -> DataFrame:
        """Turn a format's columns into the source columns, the envelope with its verdict, and the features.

        Args:
            records: of a stream, Kafka's key, value, headers, partition, offset and timestamp.

        Returns:
            One row per record, in the record's partition and order; a rejected row has the features of the safe row.
        """
        ...

    def masking_with(self, safe_row: Features) -> Decoder:
        """Return the decoder with another safe row."""
        ...

    def rejecting(self, poison: Poison) -> Decoder:
        """Return the decoder with these rows as its poison."""
        ...


class RowDecoder(Protocol):
    """Reads records in one process, by the same rules, for whatever scores without Spark."""

    def read(self, values: pa.BinaryArray) -> pa.RecordBatch:
        """Read the values of records.

        Args:
            values: one value per record, null for a tombstone.

        Returns:
            One row per value: ``event_id``, ``event_time`` and ``subject`` by the names of
            :mod:`streaming.events.columns`, null where the envelope names no field for them; ``verdict``, a struct of
            reason and field, null for a valid event; and the features by their names in the signature. Of a rejected
            event all is null but the verdict and, where it could be read, the time.
        """
        ...


class FrameScorer(Protocol):
    """Scores decoded events in Spark."""

    @property
    def is_proven(self) -> bool:
        """True if the scorer did not throw on an event, which then is the decoder's safe row."""
        ...

    def score(self, events: DataFrame) -> DataFrame:
        """Append what the model says of events; lazy.

        Args:
            events: what a :class:`Decoder` returns.

        Returns:
            One row per event, in its partition and order: the source columns, the envelope, the features, and
            prediction, probability, label, confidence and bins; ``verdict`` is null exactly where the prediction is
            good.
        """
        ...

    def tried(self, features: Features) -> FrameScorer:
        """Return the scorer as proven by an event.

        Raises:
            CandidateRefusedError: it does not keep to one row per event.
            ScoringError: it throws on the event, with its own words for it.
        """
        ...

    def release(self) -> None:
        """Free what the scorer holds in the cluster; called once, after no batch uses it any more."""
        ...


class RowPass(Protocol):
    """Reads and scores records in one process by the rules of one version, without a frame between the two.

    It is pickled for the tasks that run it.
    """

    @property
    def others(self) -> tuple[ModelVersion, ...]:
        """Where rows are scored by many versions: those with the numbers 1 and up in the rows' column of arms."""
        ...

    def score(self, records: pa.RecordBatch, at: LookupState | None = None) -> pa.RecordBatch:
        """Return what a :class:`FrameScorer` makes of decoded records.

        Args:
            records: Kafka's key, value, headers, partition, offset and timestamp of n records.
            at: the lookup table's state, where columns are looked up.

        Returns:
            n rows in the same order, with the columns of :meth:`FrameScorer.score`. Of a rejected record, what the row
            has beside source, time and verdict says nothing.

        Raises:
            ScoringError: the model throws on an event of the batch.
            LookupUnavailableError: the lookup table cannot be read up to the state.
        """
        ...

    def counts(self) -> dict[str, float]:
        """Return what lookups have counted in this process since the last call, by name."""
        ...

    def times(self) -> Mapping[int, ScoringTime]:
        """Return how long each arm's version took in this process since the last call, by the arm's number.

        Where several versions are compared, each has as many events; else nothing is measured.
        """
        ...

    def over(self, records: DataFrame, at: LookupState | None = None) -> DataFrame:
        """Return the same of a frame of records: what :meth:`FrameScorer.score` returns; lazy."""
        ...

    def of_decoded(self, events: DataFrame) -> DataFrame:
        """Return the same of events that a :class:`Decoder` has read, such as those of a table; lazy."""
        ...


class ColumnLookup(Protocol):
    """Gives events columns of the signature that they do not have themselves; it is pickled for the tasks."""

    def event_signature(self, signature: Signature, /) -> Signature:
        """Return what is read of the events: the columns of ``signature`` that are not looked up, and the key."""
        ...

    def joined(
        self, events: pa.RecordBatch, record_keys: pa.BinaryArray, signature: Signature, at: LookupState, /
    ) -> pa.RecordBatch:
        """Append the looked-up columns.

        Args:
            events: n events with the columns of :meth:`event_signature`, as a :class:`RowDecoder` reads them.
            record_keys: the keys of their records.
            signature: the model's columns.
            at: the state of the table.

        Returns:
            The same rows with the looked-up columns and those of :data:`streaming.events.columns.LOOKED_UP`; valid
            events that the settings reject for their lookup have a verdict.

        Raises:
            LookupUnavailableError: the table cannot be read up to the state.
        """
        ...

    def single(self, event: Features, signature: Signature, at: LookupState, /) -> Features | None:
        """Append the looked-up columns, and those of :data:`streaming.events.columns.LOOKED_UP`, to one valid event.

        Args:
            event: its columns by name, as :meth:`event_signature` has them, without its record's key.
            signature: the model's columns.
            at: the state of the table.

        Returns:
            ``None`` where the event is rejected, for a reason that :meth:`joined` gives.

        Raises:
            LookupUnavailableError: as :meth:`joined`.
        """
        ...

    def of_rows(self) -> ColumnLookup:
        """Return the same for rows without an envelope, whose key is a column of its own."""
        ...

    def counts(self) -> dict[str, float]:
        """Return what was counted in this process since the last call, by name."""
        ...


class ArrowScorer(Protocol):
    """Scores valid events in one process, a batch at a time."""

    def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """Return one row of :data:`streaming.events.columns.RESULTS` for each event, in order.

        Args:
            events: the model's features by name; nulls where an optional one is missing.

        Raises:
            ScoringError: the model throws on an event of the batch, as it would in Spark.
        """
        ...
