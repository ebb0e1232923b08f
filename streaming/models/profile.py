"""The reference profile: what each column looked like at training, as bins that later windows are counted into.

The file is ``penstock/profile.json`` beside the version's ``MLmodel``. Edges come from the reference data only and the
outer bins are open. A value's bin travels with its prediction as one byte, so a column has at most 250 value bins.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

PATH = "penstock/profile.json"
SCHEMA_VERSION = 1
NULL_BIN, NON_FINITE_BIN, OTHER_BIN = 253, 254, 255
MAX_VALUE_BINS = 250


@dataclass(frozen=True)
class ColumnProfile:
    """One column's bins with the reference's counts.

    Numeric: bin ``i`` holds ``edges[i-1] <= x < edges[i]`` (bin 0 is everything below ``edges[0]``, the last bin
    everything from the last edge). Categorical: bin ``i`` is ``categories[i]``; a value outside the list, rare at
    training or never seen, is ``OTHER_BIN``. ``counts`` maps bin id to the number of reference rows.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    counts: dict[int, int]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse edges that are not increasing and more bins than a byte can name."""
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"the edges of {self.name} are not strictly increasing")
        if max(len(self.edges) + 1, len(self.categories)) > MAX_VALUE_BINS:
            raise ValueError(f"{self.name} has more than {MAX_VALUE_BINS} bins")


@dataclass(frozen=True)
class ReferenceProfile:
    """The profiled columns, in the order of their bytes in ``penstock-bins``."""

    columns: tuple[ColumnProfile, ...]
    rows: int

    def to_json(self) -> str:
        """Return the file's text."""
        columns = [
            {
                "name": c.name,
                "kind": c.kind,
                "edges": c.edges,
                "categories": c.categories,
                "counts": {str(k): v for k, v in sorted(c.counts.items())},
            }
            for c in self.columns
        ]
        return json.dumps({"schema_version": SCHEMA_VERSION, "rows": self.rows, "columns": columns}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> ReferenceProfile:
        """Read the file's text; raises ``ValueError`` or ``KeyError`` if it is not one of ours."""
        data = json.loads(text)
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"a profile of schema version {data['schema_version']}, expected {SCHEMA_VERSION}")
        columns = tuple(
            ColumnProfile(
                c["name"],
                c["kind"],
                {int(k): v for k, v in c["counts"].items()},
                tuple(c["edges"]),
                tuple(c["categories"]),
            )
            for c in data["columns"]
        )
        return cls(columns, data["rows"])
