"""What two decoders of rows make of the same values, compared to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from streaming.formats.json.rows import JsonRowDecoder
from streaming.models.seams import RowDecoder
from streaming.models.signature import Signature
from streaming.settings import EventSettings
from tests.support.malformed import SIGNATURE

MakeDecoder = Callable[[Signature, EventSettings, int], RowDecoder]
"""A signature, an envelope and the most bytes of a value to a decoder."""
_BITS = {pa.float64(): pa.int64(), pa.float32(): pa.int32()}


def binary(values: Iterable[bytes | None]) -> pa.BinaryArray:
    """Values as records bring them."""
    return pa.array(list(values), pa.binary())


@dataclass(frozen=True)
class Contract:
    """What both decoders are told."""

    signature: Signature = SIGNATURE
    envelope: EventSettings = field(default_factory=EventSettings)
    max_value_bytes: int = 1 << 20

    @property
    def reference(self) -> JsonRowDecoder:
        return JsonRowDecoder(self.signature, self.envelope, self.max_value_bytes)

    def decoder(self, make: MakeDecoder) -> RowDecoder:
        return make(self.signature, self.envelope, self.max_value_bytes)

    def disagreements(self, make: MakeDecoder, values: Sequence[bytes | None]) -> list[str]:
        """Say of each value how a new decoder that reads all of them in one batch differs from the reference."""
        return differences(self.decoder(make).read(binary(values)), self.reference.read(binary(values)), values)


def differences(ours: pa.RecordBatch, reference: pa.RecordBatch, values: Sequence[bytes | None]) -> list[str]:
    """Say of each value in which columns two batches differ, if only by the sign of a zero."""
    assert ours.schema == reference.schema
    assert ours.num_rows == reference.num_rows == len(values)
    if all(_bits(mine).equals(_bits(other)) for mine, other in zip(ours.columns, reference.columns, strict=True)):
        return []
    rows = zip(values, ours.to_pylist(), reference.to_pylist(), strict=True)
    # The text of a float tells -0.0 from 0.0.
    return [f"{value!r}: {mine} instead of {other}" for value, mine, other in rows if repr(mine) != repr(other)] or [
        "the bits differ"
    ]


def _bits(column: pa.Array) -> pa.Array:
    return column.view(_BITS[column.type]) if column.type in _BITS else column
