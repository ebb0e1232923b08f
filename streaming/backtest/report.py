"""A comparison as files: ``report.json`` for machines (contract ``backtest_report``) and ``report.html`` for people."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from streaming.backtest.bootstrap import Measured
from streaming.backtest.comparison import Comparison
from streaming.backtest.page.page import page
from streaming.page.shell import write_html
from streaming.version import __version__

FORMAT = "penstock.backtest.v1"


def write_report(comparison: Comparison, folder: Path) -> tuple[Path, Path]:
    """Write both files into ``folder``, which is made if need be, and return their paths: JSON, HTML."""
    folder.mkdir(parents=True, exist_ok=True)
    machines, people = folder / "report.json", folder / "report.html"
    machines.write_text(json.dumps(as_json(comparison), indent=1, allow_nan=False) + "\n", "utf-8")
    write_page(comparison, people)
    return machines, people


def write_page(comparison: Comparison, path: Path) -> None:
    """Write the page for people; its folder is made if need be. Raises ``OSError``."""
    write_html(page(comparison), path)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return everything the comparison says; a number that is not defined is null."""
    values = asdict(comparison)
    if comparison.labelled is not None:
        values["labelled"]["metrics"] = [_metric(measured) for measured in comparison.labelled.metrics]
    plain: dict[str, Any] = _plain({"format": FORMAT, "made_by": f"penstock {__version__}", **values})
    return plain


def _metric(measured: Measured) -> dict[str, Any]:
    values = asdict(measured)
    metric = values.pop("metric")
    return {"name": metric["name"], "higher_is_better": metric["higher_is_better"], **values}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
