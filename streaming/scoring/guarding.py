"""What must hold of an event's features for a pipeline's stages not to throw on it, whoever has read the stages.

A loaded pipeline's stages are read through the JVM (:mod:`streaming.scoring.stages`), a saved one's from its files
(:mod:`streaming.scoring.saved_stages`). Both say the same facts, and the guards follow from these alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Protocol

from streaming.events.guards import InCategories, InRange, InVocabulary, NotNull
from streaming.models.seams import Guard
from streaming.models.signature import Signature

_SCALAR = ("StringIndexerModel", "Bucketizer", "ImputerModel")
"""Stages that give a number for each of their input columns."""

Elements = dict[str, list[str | None]]
"""The raw column that each element of a column is, ``None`` for one that was computed; empty if they are not known.

Names are in lower case, as Spark does not tell cases apart.
"""


class StageFacts(Protocol):
    """One stage, as its guards need to know it. What only some classes have is asked of these alone."""

    @property
    def kind(self) -> str:
        """The class's name without its package."""
        ...

    @property
    def inputs(self) -> Sequence[str]:
        """The columns that it reads by its own parameters."""
        ...

    @property
    def outputs(self) -> Sequence[str]:
        """The columns that it writes by its own parameters."""
        ...

    @property
    def strict(self) -> bool:
        """True where ``handleInvalid`` is ``error``."""
        ...

    def labels(self, position: int) -> Sequence[str]:
        """Return a ``StringIndexerModel``'s categories of an input column."""
        ...

    def category_size(self, position: int) -> float:
        """Return how many categories a ``OneHotEncoderModel`` knows of an input column."""
        ...

    def splits(self, position: int) -> Sequence[float]:
        """Return a ``Bucketizer``'s splits of an input column."""
        ...

    def categories(self) -> Mapping[int, Iterable[float]]:
        """Return a ``VectorIndexerModel``'s categories, by the positions of the elements that have some."""
        ...


def guards_of(stages: Iterable[StageFacts], signature: Signature) -> tuple[Guard, ...]:
    """Return what must hold of the raw columns for the stages not to throw on a row."""
    elements: Elements = {
        # The elements of a list have no columns of their own.
        column.name.lower(): [] if column.is_list else [column.name]
        for column in signature.columns
    }
    rules: list[Guard] = []
    for stage in stages:
        rules += [*_stage_guards(stage, elements), *_vector_guards(stage, elements)]
        elements.update(_output_elements(stage, elements))
    return tuple(dict.fromkeys(rules))


def _stage_guards(stage: StageFacts, elements: Elements) -> Iterator[Guard]:
    for position, column in enumerate(stage.inputs):
        name = next(iter(elements.get(column.lower(), [])), None)
        if name is None or name.lower() != column.lower():
            continue  # computed by an earlier stage
        if stage.strict:
            yield NotNull(name)
        if stage.kind == "StringIndexerModel" and stage.strict:
            yield InVocabulary(name, tuple(stage.labels(position)))
        elif stage.kind == "OneHotEncoderModel" and stage.strict:
            yield InRange(name, 0.0, stage.category_size(position), open_end=True)
        elif stage.kind == "Bucketizer":
            # Also with ``keep``, which is about NaN and null alone.
            yield _range_of(name, stage.splits(position))


def _range_of(name: str, splits: Sequence[float]) -> InRange:
    first = splits[0]
    return InRange(name, first, splits[-1], zero_below=first == 0.0 and math.copysign(1.0, first) > 0)


def _output_elements(stage: StageFacts, elements: Elements) -> Elements:
    outputs = stage.outputs
    if stage.kind != "VectorAssembler":
        return {name.lower(): [None] if stage.kind in _SCALAR else [] for name in outputs}
    parts = [elements.get(name.lower(), []) for name in stage.inputs]
    return {outputs[0].lower(): list(chain.from_iterable(parts)) if all(parts) else []}


def _vector_guards(stage: StageFacts, elements: Elements) -> Iterator[Guard]:
    if stage.kind != "VectorIndexerModel" or not stage.strict:
        return
    categories = stage.categories()
    for position, name in enumerate(elements.get(stage.inputs[0].lower(), [])):
        if name is not None and position in categories:
            yield InCategories(name, tuple(sorted(categories[position])))
