"""The fields that an event may have: what each of them may hold, and the columns that its values become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import GenericAlias, UnionType
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from msgspec import UNSET, Meta, UnsetType
from numpy.typing import NDArray

from streaming.events import columns as c
from streaming.formats.json.tiers.cells import FEATURES, Cells, Reader, identities, lists
from streaming.formats.json.tiers.times import epoch_times, iso_times
from streaming.models.signature import Signature
from streaming.settings import EventSettings

_LONG = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_INTEGER = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
_MILLISECONDS = Annotated[int, Meta(ge=-62_135_596_800_000, le=253_402_300_799_999)]
"""The years 1 to 9999."""
_TYPES: dict[str, Any] = {
    "identity": str | _LONG,
    "iso8601": str,
    "epoch_ms": _MILLISECONDS,
    "string": str,
    "double": float,
    "float": float,
    "integer": _INTEGER,
    "long": _LONG,
    "boolean": bool,
}
"""What a field may hold for the one who reads it."""
_READERS: dict[str, Reader] = {"identity": identities, "iso8601": iso_times, "epoch_ms": epoch_times, **FEATURES}
_MAY_BE_TEXT = {"identity", "iso8601", "string"}
_ANY_VALUE = str | float | bool
_LONGEST_NAME = 1_000


@dataclass(frozen=True)
class Role:
    """One reader of a field: the column that it fills, and what the field has to be for it."""

    column: str
    kind: str
    required: bool
    length: int | None = None
    """How many values of the kind there are in a list; ``None`` for a single one."""


@dataclass(frozen=True)
class Values:
    """One field of some rows: its columns, and the quotes that it has in the rows' text."""

    columns: Mapping[str, Cells]
    quotes: NDArray[np.int64] | int


@dataclass(frozen=True)
class Field:
    """One field of an event, whether it is read or not."""

    name: str
    roles: tuple[Role, ...] = ()

    @cached_property
    def kind(self) -> str | None:
        """The type that suits all readers; ``None`` if no type does, or the field is not read."""
        kinds = {role.kind for role in self.roles}
        if len({role.length for role in self.roles}) > 1:
            return None
        if len(kinds) > 1:
            return "string" if kinds <= _MAY_BE_TEXT else None
        return next(iter(kinds), None)

    @cached_property
    def required(self) -> bool:
        """True if an event without this field, or with a null, is rejected."""
        return any(role.required for role in self.roles)

    @property
    def type(self) -> UnionType | Any:
        """What msgspec must take for it."""
        own = _ANY_VALUE if self.kind is None else _TYPES[self.kind]
        if self.roles and self.roles[0].length is not None:
            own = GenericAlias(list, (own,))
        return own if self.required else own | None | UnsetType

    def read(self, values: Sequence[Any]) -> Values:
        """Make the columns of decoded values, one for each row, ``UNSET`` where the field is absent."""
        if not self.roles:
            return Values({}, _quotes(values))
        try:
            columns = self._columns(values)
        except pa.ArrowException:
            # Arrow takes no UNSET.
            columns = self._columns([None if value is UNSET else value for value in values])
            return Values(columns, _quotes(values))
        if self.kind not in _MAY_BE_TEXT:
            return Values(columns, 2)
        is_text = self.kind != "identity" and not any(cells.array.null_count for cells in columns.values())
        return Values(columns, 4 if is_text else _quotes(values))

    def _columns(self, values: Sequence[Any]) -> dict[str, Cells]:
        return {role.column: _reader(role)(values) for role in self.roles}


def _reader(role: Role) -> Reader:
    return _READERS[role.kind] if role.length is None else lists(role.kind, role.length)


def _quotes(values: Sequence[Any]) -> NDArray[np.int64] | int:
    """Count two for the name, where it is, and two for a text."""
    types = list(map(type, values))
    absent, texts = types.count(UnsetType), types.count(str)
    if absent == 0 and texts in (0, len(types)):
        return 4 if texts else 2
    return np.array([0 if kind is UnsetType else 4 if kind is str else 2 for kind in types], np.int64)


def fields_of(signature: Signature, envelope: EventSettings) -> tuple[Field, ...] | None:
    """Return the fields that are read.

    Returns:
        ``None`` if msgspec cannot be told of them: a name has a quote, a backslash or a control character, or is very
        long, or two who read one field want different types of it.
    """
    roles: dict[str, list[Role]] = {}
    for name, role in _roles(signature, envelope):
        roles.setdefault(name, []).append(role)
    fields = tuple(Field(name, tuple(own)) for name, own in roles.items())
    return fields if all(field.kind and can_be_declared(field.name) for field in fields) else None


def can_be_declared(name: str) -> bool:
    """Return whether msgspec takes this as a field's name, and it has no quote to be counted."""
    return len(name) <= _LONGEST_NAME and not any(sign in '"\\' or sign < " " for sign in name)


def _roles(signature: Signature, envelope: EventSettings) -> Iterator[tuple[str, Role]]:
    for name, column in ((envelope.id, c.EVENT_ID), (envelope.key, c.SUBJECT)):
        if name:
            yield name, Role(column, "identity", required=True)
    if envelope.time:
        yield envelope.time, Role(c.EVENT_TIME, envelope.time_format, required=True)
    for feature in signature.columns:
        yield feature.name, Role(feature.name, feature.type, feature.required, feature.length)
