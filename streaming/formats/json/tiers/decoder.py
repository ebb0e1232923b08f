"""The tiers as one decoder."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streaming.formats.json.rows import JsonRowDecoder
from streaming.formats.json.tiers.documents import Documents
from streaming.formats.json.tiers.fields import Field, fields_of
from streaming.formats.json.tiers.flood import Flood
from streaming.formats.json.tiers.general import GeneralReader
from streaming.formats.json.tiers.rejected import judged
from streaming.formats.json.tiers.shape import Portion
from streaming.formats.json.tiers.single import SingleEvent, SingleReader
from streaming.formats.json.tiers.typed import TypedReader
from streaming.formats.json.tiers.unread import UnreadFields
from streaming.models.signature import Signature
from streaming.settings import EventSettings

_PIECE = 300_000
"""Bytes decoded at once: what they become then stays in the processor's cache."""
_PIECE_FOR_A_FIELD = 5_000
"""Bytes at least, so that wide events are enough at once for what each column costs by itself."""
_LONGEST = 50_000
"""Bytes. A longer event may have a name beyond the limit, which is the reference's to say."""


class TieredRowDecoder:
    """How one model version's events are read, fast; a :class:`streaming.models.seams.RowDecoder`.

    It gives what :class:`streaming.formats.json.rows.JsonRowDecoder` gives. It learns which fields of the events nobody
    reads, so an instance belongs to one thread.
    """

    def __init__(
        self, signature: Signature, envelope: EventSettings, max_value_bytes: int, unread: tuple[str, ...] = ()
    ) -> None:
        """Declare the fields; a signature that cannot be declared is read by the reference alone.

        Args:
            signature: the features.
            envelope: names the fields beside them.
            max_value_bytes: a longer event is rejected.
            unread: what another decoder has learnt of the same events (:attr:`unread`).
        """
        self._reference = JsonRowDecoder(signature, envelope, max_value_bytes)
        self._longest = min(max_value_bytes, _LONGEST)
        fields = fields_of(signature, envelope)
        self._swift = None if fields is None else SwiftTiers(fields, self._reference.schema, self._longest, unread)

    def read(self, values: pa.BinaryArray) -> pa.RecordBatch:
        """Read the values of records; see :meth:`streaming.models.seams.RowDecoder.read`."""
        values = values.cast(pa.binary())
        portions: list[Portion] = []
        if self._swift is not None:
            documents = Documents(values, np.arange(len(values))).select(self._readable(values))
            portions += [
                portion for piece in documents.pieces(self._swift.piece) for portion in self._swift.read(piece)
            ]
        undecided = np.ones(len(values), np.bool_)
        for portion in portions:
            undecided[portion.rows] = False
        undecided_values = values if undecided.all() else values.filter(pa.array(undecided))
        if len(undecided_values) or not portions:
            portions += judged(self._reference, undecided_values.to_pylist(), np.flatnonzero(undecided))
        return _in_order(portions)

    def read_single(self, value: bytes) -> SingleEvent | None:
        """Return the columns of one valid event; ``None`` where :meth:`read` has to say what it is."""
        return None if self._swift is None else self._swift.single.read(value)

    @property
    def unread(self) -> tuple[str, ...]:
        """The fields that the events have and nobody reads."""
        return () if self._swift is None else self._swift.unread

    def _readable(self, values: pa.BinaryArray) -> NDArray[np.bool_]:
        """Return which values are UTF-8 of a length to be looked at."""
        lengths = pc.fill_null(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
        readable: NDArray[np.bool_] = (lengths > 0) & (lengths <= self._longest)
        chosen = values if readable.all() else values.filter(pa.array(readable))
        try:
            chosen.cast(pa.string())
        except pa.ArrowInvalid:
            readable[readable] = [_is_utf8(value) for value in chosen.to_pylist()]
        return readable


class SwiftTiers:
    """The tiers before the reference; ``single`` reads events that come one by one."""

    def __init__(
        self, fields: tuple[Field, ...], schema: pa.Schema, longest: int, unread: tuple[str, ...] = ()
    ) -> None:
        """Declare the fields that are read of events of up to ``longest`` bytes, and those that are not."""
        self.piece = max(_PIECE, len(fields) * _PIECE_FOR_A_FIELD)
        self._schema = schema
        self._fields = fields
        self._longest = longest
        self._unread = UnreadFields([field.name for field in fields], unread)
        self._general = GeneralReader(fields, schema, self._unread.observe)
        self._flood = Flood()
        self._declare()

    def _declare(self) -> None:
        self._typed = TypedReader((*self._fields, *self._unread.learnt), self._schema)
        self.single = SingleReader(self._typed.shape, self._longest)

    @property
    def unread(self) -> tuple[str, ...]:
        """The fields that the events have and nobody reads."""
        return tuple(field.name for field in self._unread.learnt)

    def read(self, documents: Documents) -> list[Portion]:
        """Return what is proven to be valid; nothing of some pieces in a flood of broken events."""
        if self._flood.passes_over():
            return []
        portions = self._proven(documents)
        self._flood.note(sum(len(portion.rows) for portion in portions), len(documents.rows))
        return portions

    def _proven(self, documents: Documents) -> list[Portion]:
        look = self._typed.read(documents)
        if not len(look.unproven.rows):
            return [look.valid]
        general = self._general.read(look.unproven)
        if len(self._fields) + len(self._unread.learnt) > self._typed.declared:
            self._declare()
        return [look.valid, general]


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _in_order(portions: list[Portion]) -> pa.RecordBatch:
    """Put the rows of all portions into the order of the batch."""
    portions = [portion for portion in portions if len(portion.rows)] or portions[:1]
    if len(portions) == 1:
        return portions[0].columns
    rows = np.concatenate([portion.rows for portion in portions])
    together = pa.Table.from_batches([portion.columns for portion in portions])
    if (np.diff(rows) < 0).any():
        together = together.take(pa.array(np.argsort(rows)))
    return together.combine_chunks().to_batches()[0]
