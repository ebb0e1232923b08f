"""How often drift detection alarms when nothing has moved, and how soon it finds what has.

Made-up tables of 20, 30 and 50 columns are judged by the real code, from counts. Every few windows have a reference of
their own, so that its noise is in the rates too. ``make bench-drift`` runs it and writes build/bench/drift.json.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.drift.alarms import Alarms, Setup, false_alarms
from benchmarks.drift.columns import ReferencePlan, columns
from benchmarks.drift.power import REFERENCE_WINDOWS, DetectionPower, calibrate, compare
from benchmarks.drift.report import DriftResults, passed, show, write
from benchmarks.drift.seasons import SEASONS, seasonal_alarms
from benchmarks.drift.seasons import setup as seasonal

SIZES = (500, 1_000, 5_000, 20_000)
COLUMNS = 30
ONCE = 20_000
"""Rows of a reference without windows of its own."""
ALIKE = (0.0005, 0.02, 0.1)
"""How alike the rows of a window are, where they are."""
SEASONAL_SIZES, SEASONAL = (1_000, 5_000), (0.02, 0.1)
"""Rows of windows with a season, and the part of the variance that lies between windows."""


@dataclass(frozen=True)
class DriftEffort:
    """How much is drawn."""

    windows: int = 5_000
    alike: int = 1_000
    groups: int = 20
    calibration: int = 45_000


QUICK = DriftEffort(500, 200, 5, 9_000)


@dataclass
class DriftBench:
    """The run: what it draws with, where it says how far it is, and what it has found."""

    effort: DriftEffort
    rng: np.random.Generator
    progress: Progress
    results: DriftResults = field(default_factory=DriftResults)

    def alarms(self, setup: Setup, number: int = COLUMNS, ask: bool = True) -> Alarms:
        """Return the false alarms of one set-up."""
        return self._counted(setup, number, false_alarms(setup, columns(number), self.rng, ask))

    def _counted(self, setup: Setup, number: int, steps: Iterator[Alarms]) -> Alarms:
        alarms = Alarms()
        task = self.progress.add_task(f"{setup.name}, {number} columns, {setup.rows:,} rows", total=setup.windows)
        for alarms in steps:
            self.progress.update(task, completed=alarms.windows)
        self.progress.remove_task(task)
        return alarms

    def still(self) -> None:
        """Windows that are pure chance, with and without the reference's own windows."""
        for rows in SIZES:
            once = Setup(
                name="one reference", rows=rows, plan=ReferencePlan(ONCE), running=1, windows=self.effort.windows
            )
            thirty = Setup(
                name="30 windows",
                rows=rows,
                plan=ReferencePlan(REFERENCE_WINDOWS * rows, REFERENCE_WINDOWS),
                running=10,
                windows=self.effort.windows,
            )
            for setup in (once, thirty):
                self.results.still.append((setup, COLUMNS, self.alarms(setup)))
        for number in (20, 50):
            setup = Setup(
                name="one reference", rows=1_000, plan=ReferencePlan(ONCE), running=1, windows=self.effort.windows
            )
            self.results.still.append((setup, number, self.alarms(setup, number)))

    def alike(self) -> None:
        """Windows whose rows are alike, with what the reference's windows tell and without."""
        for r in ALIKE:
            for rows in SIZES:
                plan = ReferencePlan(REFERENCE_WINDOWS * rows, REFERENCE_WINDOWS, r)
                setup = Setup(name=f"alike, r={r}", rows=rows, plan=plan, running=10, windows=self.effort.alike)
                few = Setup(name=f"alike, r={r}", rows=rows, plan=plan, running=10, windows=self.effort.alike // 5)
                self.results.alike.append((setup, self.alarms(setup), self.alarms(few, ask=False)))

    def seasons(self) -> None:
        """Windows that change with the hour and the weekday as they did in the reference."""
        for season in SEASONS:
            for r in SEASONAL:
                for rows in SEASONAL_SIZES:
                    setup = seasonal(season, rows, r, self.effort.alike)
                    steps = seasonal_alarms(season, setup, columns(COLUMNS), self.rng)
                    self.results.seasons.append((setup, self._counted(setup, COLUMNS, steps)))

    def power(self) -> None:
        """Movements, found by all rules on the same windows."""
        table = columns(COLUMNS)
        for rows in SIZES:
            rate = next(a.rate for s, n, a in self.results.still if (s.name, s.rows) == ("30 windows", rows))
            task = self.progress.add_task(f"movements, {rows:,} rows", total=self.effort.groups)
            # Few windows may have had no false alarm at all, and a rate of 0 has no threshold.
            limits = calibrate(rows, table, max(rate, 1 / self.effort.windows), self.effort.calibration, self.rng)
            self.results.power[rows] = self._last(compare(rows, table, limits, self.effort.groups, self.rng), task)
            self.progress.remove_task(task)

    def _last(self, steps: Iterator[dict[str, DetectionPower]], task: TaskID) -> dict[str, DetectionPower]:
        last: dict[str, DetectionPower] = {}
        for by_move in steps:
            self.progress.advance(task)
            last = by_move
        return last


ALONE = ("still", "alike", "seasons")
"""The parts that need no other."""


def main(quick: bool = False, seed: int = 6, part: str = "") -> None:
    """Draw, judge, print and write build/bench/drift.json; ends with 1 if what it should show does not hold.

    One part alone (still, alike or seasons) is printed and not written.
    """
    if part not in ("", *ALONE):
        raise typer.BadParameter(f"{part} is none of {', '.join(ALONE)}", param_hint="--part")
    console, began = Console(), time.monotonic()
    with Progress(
        TextColumn("{task.description}"), *Progress.get_default_columns()[1:3], TimeElapsedColumn()
    ) as progress:
        bench = DriftBench(QUICK if quick else DriftEffort(), np.random.default_rng(seed), progress)
        for name in (part,) if part else (*ALONE, "power"):
            getattr(bench, name)()
    show(bench.results, console)
    if part:
        return
    write(bench.results, {"seed": seed, "quick": quick, "seconds": round(time.monotonic() - began)})
    if not quick and not passed(bench.results):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
