"""Indexers that know no category which their column could have: a likely mistake that scores without an error.

An indexer of numbers was fitted to the text that Spark writes for them: 1 for a whole number and 1.0 for a double. If
it was fitted to the one and the signature says the other, every category is unseen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import structlog

from streaming.models.ref import ModelVersion
from streaming.models.signature import ColumnType, Signature
from streaming.scoring.stages import class_name, input_columns, output_columns

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_WHOLE = re.compile(r"-?\d+")
_FRACTION = re.compile(r"-?\d+\.\d+(E-?\d+)?")
_WRITTEN: dict[ColumnType, re.Pattern[str]] = {
    "double": _FRACTION,
    "float": _FRACTION,
    "long": _WHOLE,
    "integer": _WHOLE,
}
"""How Spark writes a finite number as text. Text can be any, and an indexer refuses booleans by itself."""


def warn_of_vocabularies(stages: tuple[Any, ...], signature: Signature, version: ModelVersion) -> None:
    """Log a warning for each indexer that cannot match its column; the version is served nevertheless."""
    for column, kind, categories in unmatched(stages, signature):
        _log.warning(
            "an indexer knows no category that its column can have, so all are unseen: log the model with the type"
            " that the column had in training, or train it with the signature's",
            version=str(version),
            column=column,
            signature_type=kind,
            categories=categories[:5],
        )


def unmatched(stages: tuple[Any, ...], signature: Signature) -> Iterator[tuple[str, ColumnType, list[str]]]:
    """Yield each such column of the signature with its type there and what the indexer knows."""
    types = {column.name: column.type for column in signature.columns}
    for stage in stages:
        if class_name(stage).endswith(".StringIndexerModel"):
            names = input_columns(stage)
            for name, labels in zip(names, stage.labelsArray(), strict=True):
                categories = [str(label) for label in labels]
                if categories and name in types and not _matches(categories, types[name]):
                    yield name, types[name], categories
        # A column that a stage writes is no longer the event's.
        for name in output_columns(stage):
            types.pop(name, None)


def _matches(categories: list[str], kind: ColumnType) -> bool:
    written = _WRITTEN.get(kind)
    return written is None or any(written.fullmatch(category) for category in categories)
