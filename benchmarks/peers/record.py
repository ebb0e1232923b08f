"""Record what Evidently or NannyML say of a few columns, for the parity test, in an environment of their own.

They cannot be installed beside our pins, so their numbers are kept in tests/unit/data/drift_peers.json:

    python -m venv peer && peer/bin/pip install "evidently==0.7.23" "pandas<3" "numpy<2.4"
    peer/bin/python benchmarks/peers/record.py evidently tests/unit/data/drift_peers.json

and the same with ``"nannyml==0.13.1" statsmodels``. Columns are counts of distinct values: the file has
all the data.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SEED = 20_131
REFERENCE, WINDOW = 20_000, 5_000


def columns() -> dict[str, dict[str, Any]]:
    """Draw the columns: numbers of one decimal, discrete numbers and categories, moved and not."""
    rng = np.random.default_rng(SEED)
    shares = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    drawn = {
        "normal_still": (rng.normal(0, 1, REFERENCE), rng.normal(0, 1, WINDOW)),
        "normal_shifted": (rng.normal(0, 1, REFERENCE), rng.normal(0.25, 1, WINDOW)),
        "skewed_wider": (rng.gamma(2, 2, REFERENCE), rng.gamma(2, 2.3, WINDOW)),
        "discrete_shifted": (rng.poisson(3, REFERENCE), rng.poisson(3.2, WINDOW)),
        "categories_still": (rng.choice(5, REFERENCE, p=shares), rng.choice(5, WINDOW, p=shares)),
        "categories_moved": (rng.choice(5, REFERENCE, p=shares), rng.choice(5, WINDOW, p=shares[::-1])),
    }
    return {name: _counted(name, before, now) for name, (before, now) in drawn.items()}


def _counted(name: str, before: Any, now: Any) -> dict[str, Any]:
    values = np.unique(np.round(np.concatenate([before, now]), 1))
    sides = {
        side: [int(np.sum(np.round(rows, 1) == value)) for value in values]
        for side, rows in (("reference", before), ("window", now))
    }
    return {"kind": "categorical" if name.startswith("categories") else "numeric", "values": values.tolist(), **sides}


def rows(column: dict[str, Any], side: str) -> pd.Series[Any]:
    """Return the rows of one side."""
    series = pd.Series(np.repeat(column["values"], column[side]))
    return series.map(lambda value: f"c{value:.0f}") if column["kind"] == "categorical" else series


def evidently(column: dict[str, Any]) -> dict[str, float]:
    """Return its tests' numbers; a ``drift_score`` is a distance or a p-value."""
    from evidently.legacy.calculations.stattests import registry

    numeric = column["kind"] == "numeric"
    names = ("wasserstein", "ks") if numeric else ("chisquare",)
    kind = registry.ColumnType("num" if numeric else "cat")
    return {
        name: float(
            registry.get_stattest(rows(column, "reference"), rows(column, "window"), kind, name)(
                rows(column, "reference"), rows(column, "window"), kind, 0.1
            ).drift_score
        )
        for name in ("psi", "jensenshannon", "hellinger", *names)
    }


def nannyml(column: dict[str, Any]) -> dict[str, float]:
    """Return its methods' numbers against the whole reference."""
    from nannyml.chunk import CountBasedChunker
    from nannyml.drift.univariate.methods import FeatureType, MethodFactory
    from nannyml.thresholds import StandardDeviationThreshold

    numeric = column["kind"] == "numeric"
    kind = FeatureType.CONTINUOUS if numeric else FeatureType.CATEGORICAL
    names = ("kolmogorov_smirnov", "wasserstein") if numeric else ("chi2",)
    distances = {}
    for name in ("jensen_shannon", "hellinger", *names):
        params = {"chunker": CountBasedChunker(10), "threshold": StandardDeviationThreshold()}
        exact = {"computation_params": {name: {}, "calculation_method": "exact"}}
        method = MethodFactory.create(name, kind, **params, **exact)
        distances[name] = float(method.fit(rows(column, "reference").rename("x")).calculate(rows(column, "window")))
    return distances


def main(peer: str, path: Path) -> None:
    """Write one peer's numbers beside those of the other."""
    ask = {"evidently": evidently, "nannyml": nannyml}[peer]
    recorded = json.loads(path.read_text()) if path.exists() else {}
    data = columns()
    if recorded.get("columns", data) != data:
        sys.exit("these columns are not the ones on file; record both peers anew")
    numbers = {"version": version(peer), "numbers": {name: ask(column) for name, column in data.items()}}
    peers = dict(sorted({**recorded.get("peers", {}), peer: numbers}.items()))
    text = json.dumps({"seed": SEED, "numpy": np.__version__, "columns": data, "peers": peers}, separators=(",", ":"))
    path.write_text(text.replace('"columns":', '\n"columns":').replace('"peers":', '\n"peers":') + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
