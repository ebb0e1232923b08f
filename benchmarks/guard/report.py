"""The figures beside their bars: a table, and build/bench/guard.json."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from streaming.statistics.arrays import Floats
from streaming.statistics.intervals import wilson

TARGET = Path("build/bench/guard.json")
BY = {
    "quality": "blocks",
    "gross_harm": "events",
    "errors": "keys",
    "score_shift": "hours",
    "latency": "batches",
    "drift": "windows",
}
"""What each of the guard's tests counts once."""


@dataclass(frozen=True)
class Bar:
    """What was asked for, what it is, and the bound: at most, or with ``least`` at least."""

    name: str
    figure: float
    bound: float
    least: bool = False

    @property
    def passed(self) -> bool:
        """True where the bound is kept."""
        return self.figure >= self.bound if self.least else self.figure <= self.bound


@dataclass
class GuardResults:
    """The figures by name, for machines, and the bars; ``remarks`` are figures without a bar."""

    figures: dict[str, Any] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)

    def bar(self, name: str, figure: float, bound: float, *, least: bool = False) -> None:
        """Add a bar."""
        self.bars.append(Bar(name, float(figure), bound, least))

    def stopped(self, part: str, name: str, needed: Floats) -> tuple[float, float]:
        """Note median and 90th percentile of what runs needed under a name; return both, infinite if not reached."""
        # Not interpolated: between a number and never there is no middle.
        median, late = (float(np.quantile(needed, share, method="higher")) for share in (0.5, 0.9))
        self.figures.setdefault(f"median_{part}", {})[name] = _finite(median)
        self.figures.setdefault(f"p90_{part}", {})[name] = _finite(late)
        return median, late


def upper(count: int, runs: int) -> float:
    """Return what a rate is below, with 95 % confidence."""
    return wilson(count, runs, 0.9).high


def show(results: GuardResults, console: Console) -> None:
    """Print every bar with its figure, then what has none."""
    table = Table("bar", Column("figure", justify="right"), Column("bound", justify="right"), "", box=None)
    for bar in results.bars:
        sign = "≥" if bar.least else "≤"
        verdict = "[green]kept[/]" if bar.passed else "[bold red]missed[/]"
        table.add_row(bar.name, f"{bar.figure:,.4g}", f"{sign} {bar.bound:,.4g}", verdict)
    console.print(table)
    for name, text in results.remarks:
        console.print(f"[dim]{name}: {text}[/]", highlight=False)


def write(results: GuardResults, run: dict[str, Any]) -> None:
    """Write the summary."""
    bars = [{**asdict(bar), "figure": _finite(bar.figure), "passed": bar.passed} for bar in results.bars]
    summary = {**results.figures, "by": BY, "bars": bars, "remarks": dict(results.remarks), **run}
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n", "utf-8")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
