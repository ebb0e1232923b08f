"""Events as msgspec decodes them, and the columns that these become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.formats.json.tiers.fields import Field


@dataclass(frozen=True)
class Portion:
    """Some rows of a batch, decoded."""

    rows: NDArray[np.int64]
    """The place of each in the batch."""
    columns: pa.RecordBatch

    def select(self, mask: NDArray[np.bool_]) -> Portion:
        """Return those for which ``mask`` is true."""
        return self if mask.all() else Portion(self.rows[mask], self.columns.filter(pa.array(mask)))


@dataclass(frozen=True)
class Assembled:
    """Decoded events as columns."""

    columns: pa.RecordBatch
    quotes: NDArray[np.int64]
    """How many quotes an event's text has if it has no field but those declared, each once, and escapes no quote."""
    doubtful: NDArray[np.bool_]
    """The events of which a value may not be what the reference reads."""


@dataclass(frozen=True)
class Shape:
    """The fields that an event may have, declared to msgspec."""

    fields: tuple[Field, ...]
    schema: pa.Schema
    """The columns of what is decoded."""
    is_closed: bool
    """True if an event with any other field is refused."""

    @cached_property
    def struct(self) -> type[msgspec.Struct]:
        """The class of decoded events, whose attributes are in the order of ``fields``."""
        names = {f"f{number}": field for number, field in enumerate(self.fields)}
        return msgspec.defstruct(
            "Event",
            [
                (name, field.type) if field.required else (name, field.type, msgspec.UNSET)
                for name, field in names.items()
            ],
            rename={name: field.name for name, field in names.items()},
            forbid_unknown_fields=self.is_closed,
            kw_only=True,
            # They hold only text, numbers and lists of numbers, so none can be part of a circle.
            gc=False,
        )

    def assemble(self, events: Sequence[msgspec.Struct]) -> Assembled:
        """Make the columns of decoded events."""
        rows = len(events)
        quotes, doubtful = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
        arrays: dict[str, pa.Array] = {}
        columns = zip(*map(msgspec.structs.astuple, events), strict=True)
        for field, decoded in zip(self.fields, columns, strict=bool(events)):
            values = field.read(decoded)
            quotes += values.quotes
            for name, cells in values.columns.items():
                arrays[name] = cells.array
                if cells.doubtful is not None:
                    doubtful |= cells.doubtful
        # The verdict on a decoded event is null, and so is what the envelope does not name.
        in_order = [arrays[entry.name] if entry.name in arrays else pa.nulls(rows, entry.type) for entry in self.schema]
        return Assembled(pa.RecordBatch.from_arrays(in_order, schema=self.schema), quotes, doubtful)
