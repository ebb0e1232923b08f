"""The reference profile: what each column looked like at training, as bins that later windows are counted into.

The file is ``penstock/profile.json`` beside the version's ``MLmodel``. Edges come from the reference data only and the
outer bins are open. A value's bin travels with its prediction as one byte, so a column has at most 250 value bins.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any, Literal

PATH = "penstock/profile.json"
SCHEMA_VERSION = 3
RARE_BIN, NULL_BIN, NON_FINITE_BIN, OTHER_BIN = 252, 253, 254, 255
MAX_VALUE_BINS = 250

Counts = dict[int, int]
"""Bin id to rows."""


@dataclass(frozen=True)
class ColumnProfile:
    """One column's bins with the reference's counts.

    Numeric: bin ``i`` holds ``edges[i-1] <= x < edges[i]`` (bin 0 is everything below ``edges[0]``, the last bin
    everything from the last edge). Categorical: bin ``i`` is ``categories[i]``, the frequent ones; each of the ``rare``
    ones is in ``RARE_BIN``, and any other value in ``OTHER_BIN``. Where ``rare`` is empty, as in profiles before schema
    version 3 and where there are too many to list, that is a rare value or a new one. ``counts`` maps bin id to the
    number of reference rows; those of a rare value that no other window of the reference has are counted in
    ``OTHER_BIN``, as they were new when they came.

    ``centres`` are a numeric column's mean in each bin and ``spread`` its standard deviation; empty and 0 in profiles
    of schema version 1. ``windows`` are the counts of windows of the reference, by which one sees how much windows
    differ when nothing has moved.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    counts: Counts
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    centres: tuple[float, ...] = ()
    spread: float = 0.0
    windows: tuple[Counts, ...] = ()
    rare: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse edges that are not increasing and more bins than a byte can name."""
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"the edges of {self.name} are not strictly increasing")
        if max(len(self.edges) + 1, len(self.categories)) > MAX_VALUE_BINS:
            raise ValueError(f"{self.name} has more than {MAX_VALUE_BINS} bins")

    @property
    def bins(self) -> tuple[int, ...]:
        """The ids that a value may have, in order: those of values, then those of the three special ones."""
        values = len(self.edges) + 1 if self.kind == "numeric" else len(self.categories)
        rare = (RARE_BIN,) if self.rare else ()
        return (*range(values), *rare, NULL_BIN, NON_FINITE_BIN, OTHER_BIN)

    def merged(self, other: ColumnProfile) -> ColumnProfile:
        """Return the profile of both references' rows; raises ``ValueError`` unless the bins are the same."""
        if self.bounds != other.bounds:
            raise ValueError(f"the profiles cut {self.name} into other bins")
        counts = {b: self.counts.get(b, 0) + other.counts.get(b, 0) for b in {**self.counts, **other.counts}}
        centres = tuple(
            _average((a, self.counts.get(index, 0)), (b, other.counts.get(index, 0)))
            for index, (a, b) in enumerate(zip(self.centres, other.centres, strict=True))
        )
        return replace(
            self, counts=counts, centres=centres, spread=_spread((self, other)), windows=self.windows + other.windows
        )

    @property
    def bounds(self) -> tuple[object, ...]:
        """The bounds of the bins. Counts of profiles with equal bounds can be added."""
        return self.name, self.kind, self.edges, self.categories, self.rare, bool(self.centres)

    @property
    def values(self) -> int:
        """The reference rows in the bins of values, neither null nor non-finite nor another category."""
        return sum(count for bin_id, count in self.counts.items() if bin_id < MAX_VALUE_BINS)

    @property
    def mean(self) -> float:
        """A numeric column's mean over the reference; 0 where the centres are not known."""
        total = sum(self.counts.get(bin_id, 0) * centre for bin_id, centre in enumerate(self.centres))
        return total / max(self.values, 1)


def _average(*parts: tuple[float, int]) -> float:
    rows = sum(count for _, count in parts)
    return sum(value * count for value, count in parts) / rows if rows else parts[0][0]


def _spread(profiles: tuple[ColumnProfile, ColumnProfile]) -> float:
    """Return the standard deviation of two groups' values together."""
    # The variance of both together is that within the groups and that between their means.
    mean = _average(*((p.mean, p.values) for p in profiles))
    return math.sqrt(_average(*((p.spread**2 + (p.mean - mean) ** 2, p.values) for p in profiles)))


@dataclass(frozen=True)
class ReferenceProfile:
    """The profiled columns, in the order of their bytes in ``penstock-bins``.

    ``window_seconds`` is how long the columns' ``windows`` are, in event time; 0 where there are none.
    """

    columns: tuple[ColumnProfile, ...]
    rows: int
    window_seconds: float = 0.0

    def merged(self, other: ReferenceProfile) -> ReferenceProfile:
        """Return the profile of both references' rows; raises ``ValueError`` unless their bins and windows agree."""
        if self.window_seconds != other.window_seconds:
            raise ValueError("the profiles' windows are not equally long")
        columns = tuple(a.merged(b) for a, b in zip(self.columns, other.columns, strict=True))
        return ReferenceProfile(columns, self.rows + other.rows, self.window_seconds)

    def to_json(self) -> str:
        """Return the file's text, a line for each column."""
        columns = ",\n  ".join(json.dumps(_column_record(column)) for column in self.columns)
        head = json.dumps({"schema_version": SCHEMA_VERSION, "rows": self.rows, "window_seconds": self.window_seconds})
        return f'{head[:-1]}, "columns": [\n  {columns}\n]}}\n'

    @classmethod
    def from_json(cls, text: str) -> ReferenceProfile:
        """Read the file's text, of this schema version or one before.

        Raises:
            ValueError, KeyError: it is not one of ours.
        """
        data = json.loads(text)
        if data["schema_version"] not in (1, 2, SCHEMA_VERSION):
            raise ValueError(f"a profile of schema version {data['schema_version']}, expected {SCHEMA_VERSION}")
        columns = tuple(_column(record) for record in data["columns"])
        return cls(columns, data["rows"], data.get("window_seconds", 0.0))


def _column_record(column: ColumnProfile) -> dict[str, object]:
    return {
        "name": column.name,
        "kind": column.kind,
        "edges": column.edges,
        "categories": column.categories,
        "rare": column.rare,
        "counts": _sorted(column.counts),
        "centres": column.centres,
        "spread": column.spread,
        "windows": [_sorted(window) for window in column.windows],
    }


def _sorted(counts: Counts) -> dict[str, int]:
    return {str(bin_id): count for bin_id, count in sorted(counts.items())}


def _column(record: dict[str, Any]) -> ColumnProfile:
    return ColumnProfile(
        name=record["name"],
        kind=record["kind"],
        counts=_counts(record["counts"]),
        edges=tuple(record["edges"]),
        categories=tuple(record["categories"]),
        centres=tuple(record.get("centres", ())),
        spread=record.get("spread", 0.0),
        windows=tuple(_counts(window) for window in record.get("windows", ())),
        rare=tuple(record.get("rare", ())),
    )


def _counts(record: dict[str, int]) -> Counts:
    return {int(bin_id): count for bin_id, count in record.items()}
