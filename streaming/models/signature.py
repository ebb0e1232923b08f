"""A model's input columns: names, types and which may be missing."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast, get_args

from streaming.errors import CandidateRefusedError, ConfigurationError
from streaming.refusal_codes import RefusalCode

ColumnType = Literal["double", "float", "long", "integer", "boolean", "string"]
_TYPES = frozenset(get_args(ColumnType))
_NUMBERS = ("double", "float", "long", "integer")
UNNAMED = "inputs"
"""The field of a tensor without a name; MLflow's requests call it so."""
MOST_NUMBERS = 100_000
"""The longest list that a column may be."""


@dataclass(frozen=True)
class Column:
    """One input column, in MLflow's type names. Not required: null or absent is accepted."""

    name: str
    type: ColumnType
    required: bool = True
    length: int | None = None
    """How many numbers a value has, which then is a list of them, each of ``type``; ``None`` where it is no list."""
    is_vector: bool = False
    """True where Spark's stages read the list as a vector."""

    @property
    def is_list(self) -> bool:
        """True if a value is a list of numbers."""
        return self.length is not None

    @property
    def is_floating(self) -> bool:
        """True if a value is a number that can be NaN or infinite."""
        return self.type in ("double", "float") and not self.is_list

    @property
    def kind(self) -> str:
        """The type in words, as ``double`` or ``[3] of double``."""
        return f"[{self.length}] of {self.type}" if self.is_list else self.type


@dataclass(frozen=True)
class Signature:
    """The columns a model reads, in the signature's order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    def without(self, names: Collection[str]) -> Signature:
        """Return the other columns."""
        return Signature(tuple(column for column in self.columns if column.name not in names))

    @property
    def single(self) -> Signature:
        """The columns that are no lists."""
        return Signature(tuple(column for column in self.columns if not column.is_list))

    @classmethod
    def from_mlflow(
        cls, inputs: str, without: Collection[str] = (), lengths: Mapping[str, int] = MappingProxyType({})
    ) -> Signature:
        """Read ``signature.inputs`` of an MLmodel file, without some of the columns.

        >>> Signature.from_mlflow('[{"type": "double", "name": "distance", "required": true}]').names
        ('distance',)

        Args:
            inputs: the signature, as JSON.
            without: names of columns that nobody reads.
            lengths: how long lists are whose length the signature does not say, by the column's name.

        Raises:
            CandidateRefusedError: a column has a type that a JSON event cannot carry, or no name or length.
        """
        entries = [entry for entry in json.loads(inputs) if entry.get("name") not in without]
        return cls(tuple(_column(entry, lengths) for entry in entries))

    @classmethod
    def from_config(cls, features: Mapping[str, str]) -> Signature:
        """Read ``model.features``: name to type, ``[n]`` for a list of n numbers and a ``?`` for an optional column.

        >>> Signature.from_config({"gust": "double?"}).columns[0].required
        False
        >>> Signature.from_config({"x": "float[3]"}).columns[0].length
        3

        Raises:
            ConfigurationError: an unknown type.
        """
        return cls(tuple(_configured(name, text) for name, text in features.items()))


_CONFIGURED = re.compile(r"(?P<kind>\w+)(\[(?P<length>\d+)\])?(?P<optional>\??)")


def _configured(name: str, text: str) -> Column:
    match = _CONFIGURED.fullmatch(text)
    kind = "double" if match and match["kind"] == "vector" else match["kind"] if match else ""
    length = int(match["length"]) if match and match["length"] else None
    fits = kind in _TYPES if length is None else kind in _NUMBERS and 1 <= length <= MOST_NUMBERS
    is_vector = bool(match and match["kind"] == "vector")
    if match is None or not fits or (is_vector and length is None):
        raise ConfigurationError(
            f"model.features.{name} is {text!r}; use one of {', '.join(sorted(_TYPES))}, a list such as double[3], or"
            " vector[3]"
        )
    return Column(
        name=name,
        type=cast(ColumnType, kind),
        required=not match["optional"],
        length=length,
        is_vector=is_vector,
    )


_DTYPES = {"float64": "double", "float32": "float", "int64": "long", "int32": "integer"}
"""A tensor's type of elements to a column's."""


def _column(entry: Mapping[str, object], lengths: Mapping[str, int]) -> Column:
    kind = entry.get("type")
    if kind == "tensor":
        return _tensor(entry)
    name = entry.get("name")
    if isinstance(name, str) and kind in ("sparkml_vector", "array"):
        return _list(name, entry, lengths)
    if not isinstance(name, str) or kind not in _TYPES:
        raise _unsupported(
            f"the signature's column {name!r} has type {kind!r}; an event can carry {', '.join(sorted(_TYPES))}"
        )
    return Column(name, cast(ColumnType, kind), bool(entry.get("required", True)))


def _tensor(entry: Mapping[str, object]) -> Column:
    """Return a tensor's column: of shape [-1, n] a list of n numbers, and of [-1] a number."""
    name, spec = entry.get("name") or UNNAMED, entry.get("tensor-spec")
    shape, dtype = (spec.get("shape"), spec.get("dtype")) if isinstance(spec, Mapping) else (None, None)
    is_shape = isinstance(shape, list) and len(shape) in (1, 2) and shape[0] == -1 and isinstance(shape[-1], int)
    if not is_shape or str(dtype) not in _DTYPES or not isinstance(name, str):
        raise _unsupported(
            f"the signature's tensor {name!r} has the shape {shape} and the type {dtype}; an event can carry numbers"
            f" ({', '.join(_DTYPES)}) of the shape [-1] or [-1, n]"
        )
    length = _checked(name, cast(list[int], shape)[1]) if len(cast(list[int], shape)) == 2 else None
    return Column(name=name, type=cast(ColumnType, _DTYPES[str(dtype)]), length=length)


def _list(name: str, entry: Mapping[str, object], lengths: Mapping[str, int]) -> Column:
    items = entry.get("items")
    is_vector = entry.get("type") == "sparkml_vector"
    element = "double" if is_vector else items.get("type") if isinstance(items, Mapping) else None
    if element not in _NUMBERS:
        raise _unsupported(
            f"the signature's column {name!r} is an array of {element}; an event can carry arrays of"
            f" {', '.join(_NUMBERS)}. Or log the whole pipeline, with the stage that makes the column, as a Tokenizer"
        )
    if name not in lengths:
        raise _unsupported(
            f"the signature does not say how many numbers the column {name!r} has; log the version with an"
            " input_example or with golden rows, whose lists are all equally long"
        )
    return Column(
        name=name,
        type=cast(ColumnType, element),
        required=bool(entry.get("required", True)),
        length=_checked(name, lengths[name]),
        is_vector=is_vector,
    )


def _checked(name: str, length: int) -> int:
    if not 1 <= length <= MOST_NUMBERS:
        raise _unsupported(
            f"the signature's column {name!r} has {length} numbers; an event can carry 1 to {MOST_NUMBERS}"
        )
    return length


def _unsupported(detail: str) -> CandidateRefusedError:
    return CandidateRefusedError(
        RefusalCode.SIGNATURE_UNSUPPORTED, f"{detail}. Log the model with named columns of these types."
    )
