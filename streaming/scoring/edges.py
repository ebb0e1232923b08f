"""Events made up to find where two scorers of one model differ: at the edges of its types and of what it learnt."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from streaming.models.package import ModelPackage
from streaming.models.seams import Features
from streaming.models.signature import Column
from streaming.scoring.compiled.saved import SavedStage

MOST_EVENTS = 1_500
_MOST_MARKS = 30
"""Thresholds, and texts, that are tried in each column."""
_MIXED = 200
"""Events in which every column has some edge of its own."""
_UNSEEN = "\N{REPLACEMENT CHARACTER}unseen"
_USUAL = (0.0, -0.0, 1.0, -1.0, 0.1, 1e6, -1e6)
_EXTREME = (5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308)
_HARD_TEXTS = (
    " ",
    " Two  words ",
    "a\tb\nc\x0bd\u00a0e\u2028f",
    "don't - stop.",
    "ÉCOLE İstanbul",
    "\N{GREEK CAPITAL LETTER SIGMA}",
    "I am I",
    "\N{MATHEMATICAL BOLD CAPITAL A} a",
)
"""White space of all kinds, signs, and letters whose lower case is longer, in doubt, or another one in Turkish."""
_INTEGERS = {"integer": 2**31, "long": 2**63}


def edge_events(package: ModelPackage, stages: Iterable[SavedStage], base: Sequence[Features]) -> list[Features]:
    """Return events that differ from those of ``base`` in one column, then some that differ in all.

    Values are null, zero, extremes, every threshold that a stage has and its neighbours, categories that it has learnt
    and one that it has not, and what the reference profile says of the column. The same arguments give the same events;
    at most :data:`MOST_EVENTS`, taken evenly.
    """
    numbers, texts = learnt(stages)
    profile = package.profile.columns if package.profile else ()
    usual_of: dict[str, tuple[float | str, ...]] = {
        column.name: (*column.edges, *column.centres, *column.categories) for column in profile
    }
    values = {
        column.name: [*_values(column, numbers, texts), *_typed(column, usual_of.get(column.name, ()))]
        for column in package.signature.columns
    }
    varied = [
        {**base[position % len(base)], name: value}
        for position, (name, value) in enumerate((name, value) for name in values for value in values[name])
    ]
    chance = random.Random(0)  # noqa: S311 - no secret; the same events each time
    usual = {name: [value for value in column if value not in _EXTREME] for name, column in values.items()}
    mixed = [{name: chance.choice(column) for name, column in usual.items()} for _ in range(_MIXED)]
    return [*_evenly(varied, MOST_EVENTS - _MIXED), *mixed]


def learnt(stages: Iterable[SavedStage]) -> tuple[list[float], list[str]]:
    """Return the finite numbers that stages compare with, and the texts that they know."""
    numbers: set[float] = set()
    texts: set[str] = set()
    for stage in stages:
        numbers.update(_thresholds(stage))
        if stage.kind.endswith("feature.StringIndexerModel"):
            texts.update(itertools.chain.from_iterable(stage.row()["labelsArray"]))
        if stage.kind.endswith("feature.CountVectorizerModel"):
            several = " ".join(_evenly(stage.row()["vocabulary"], _MOST_MARKS))
            texts.update((several, several.upper()))
        if stage.kind.endswith("Tokenizer"):
            texts.update(_HARD_TEXTS)
    return sorted(filter(math.isfinite, numbers)), sorted(texts)


def _thresholds(stage: SavedStage) -> Iterator[float]:
    if stage.has("splits"):
        yield from stage.numbers("splits")
    if stage.has("splitsArray"):
        yield from itertools.chain.from_iterable(stage.lists("splitsArray"))
    if "Tree" in stage.kind or "Forest" in stage.kind or "GBT" in stage.kind:
        for row in stage.rows():
            split = row.get("nodeData", row)["split"]
            if split["numCategories"] == -1:
                yield from split["leftCategoriesOrThreshold"]


def _values(column: Column, numbers: Sequence[float], texts: Sequence[str]) -> Iterator[Any]:
    if column.length is None:
        yield from _single_values(column, numbers, texts)
        return
    if not column.required:
        yield None
    element = replace(column, required=True, length=None)
    singles = _evenly(list(_single_values(element, numbers, texts)), _MOST_MARKS)
    # Each number in all places, and each place with some number of its own.
    yield from ([number] * column.length for number in singles)
    yield from (
        [singles[(start + position) % len(singles)] for position in range(column.length)]
        for start in range(len(singles))
    )


def _single_values(column: Column, numbers: Sequence[float], texts: Sequence[str]) -> Iterator[Any]:
    if not column.required:
        yield None
    if column.type == "boolean":
        yield from (False, True)
    elif column.type == "string":
        yield from ("", _UNSEEN, *_evenly(texts, _MOST_MARKS))
    elif column.is_floating:
        kind = np.float32 if column.type == "float" else np.float64
        yield from _floats((*_USUAL, *_EXTREME, *_neighbours(_evenly(numbers, _MOST_MARKS), kind)), kind)
    else:
        most = _INTEGERS[column.type]
        marks = {round_(mark) for mark in _evenly(numbers, _MOST_MARKS) for round_ in (math.floor, math.ceil)}
        yield from sorted(mark for mark in {0, 1, -1, most - 1, -most, *marks} if -most <= mark < most)


def _typed(column: Column, usual: Sequence[float | str]) -> Iterator[Any]:
    """Yield the values of a profile that are of the column's type; a list has none."""
    for value in _evenly(usual, _MOST_MARKS):
        if column.type == "string":
            yield from (value,) if isinstance(value, str) else ()
        elif not isinstance(value, str) and column.type != "boolean" and math.isfinite(value):
            yield value if column.is_floating else round(value)


def _neighbours(marks: Iterable[float], kind: type[np.floating[Any]]) -> Iterator[float]:
    """Yield each mark and the numbers of its kind on both sides of it."""
    for mark in map(kind, marks):
        yield from map(float, (np.nextafter(mark, kind(-np.inf)), mark, np.nextafter(mark, kind(np.inf))))


def _floats(values: Iterable[float], kind: type[np.floating[Any]]) -> Iterator[float]:
    with np.errstate(over="ignore"):
        yield from (number for number in (float(kind(value)) for value in values) if math.isfinite(number))


def _evenly(items: Sequence[Any], most: int) -> Sequence[Any]:
    """Return at most so many of the items, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(position * (len(items) - 1) / (most - 1))] for position in range(most)]
