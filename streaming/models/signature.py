"""A model's input columns: names, types and which may be missing."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from streaming.errors import CandidateRefusedError, ConfigurationError
from streaming.refusal_codes import RefusalCode

ColumnType = Literal["double", "float", "long", "integer", "boolean", "string"]
_TYPES = frozenset(get_args(ColumnType))


@dataclass(frozen=True)
class Column:
    """One input column, in MLflow's type names. Not required: null or absent is accepted."""

    name: str
    type: ColumnType
    required: bool = True

    @property
    def is_floating(self) -> bool:
        """True if the type can represent NaN and infinity."""
        return self.type in ("double", "float")


@dataclass(frozen=True)
class Signature:
    """The columns a model reads, in the signature's order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)

    @classmethod
    def from_mlflow(cls, inputs: str, without: Collection[str] = ()) -> Signature:
        """Read ``signature.inputs`` of an MLmodel file, without some of the columns.

        >>> Signature.from_mlflow('[{"type": "double", "name": "distance", "required": true}]').names
        ('distance',)

        Raises:
            CandidateRefusedError: a column has no name (a tensor) or a type that a JSON event cannot carry.
        """
        return cls(tuple(_column(entry) for entry in json.loads(inputs) if entry.get("name") not in without))

    @classmethod
    def from_config(cls, features: Mapping[str, str]) -> Signature:
        """Read ``model.features``: name to type, a ``?`` after the type for an optional column.

        >>> Signature.from_config({"gust": "double?"}).columns[0].required
        False

        Raises:
            ConfigurationError: an unknown type.
        """
        columns = []
        for name, text in features.items():
            kind = text.rstrip("?")
            if kind not in _TYPES:
                raise ConfigurationError(f"model.features.{name} is {text!r}; use one of {', '.join(sorted(_TYPES))}")
            columns.append(Column(name, cast(ColumnType, kind), not text.endswith("?")))
        return cls(tuple(columns))


_LISTS = {"sparkml_vector": "vector", "array": "array", "tensor": "tensor"}
"""MLflow's names of types that hold several values."""


def _column(entry: Mapping[str, object]) -> Column:
    name, kind = entry.get("name"), entry.get("type")
    if isinstance(name, str) and kind in _LISTS:
        raise CandidateRefusedError(
            RefusalCode.SIGNATURE_UNSUPPORTED,
            f"the signature's column {name!r} has type {_LISTS[str(kind)]}; a column of an event is one value so far."
            " Vectors and arrays are planned, together with compiled scoring. Until then log the whole pipeline, with"
            " the VectorAssembler or Tokenizer that makes the column, and a signature of the columns that it reads.",
        )
    if not isinstance(name, str) or kind not in _TYPES:
        raise CandidateRefusedError(
            RefusalCode.SIGNATURE_UNSUPPORTED,
            f"the signature's column {name!r} has type {kind!r}; an event can carry {', '.join(sorted(_TYPES))}."
            " Log the model with named columns of these types.",
        )
    return Column(name, cast(ColumnType, kind), bool(entry.get("required", True)))
