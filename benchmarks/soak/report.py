"""The soak's result: a trend and a verdict for every series, as a table, as JSON and as plots."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.soak.heap import Collected
from benchmarks.soak.series import JUDGED, SHOWN, SWAP_EVERY, SoakSeries
from benchmarks.soak.slope import DAY, Points, Trend, trend
from benchmarks.soak.watch import Sample
from streaming.accounting.account import Account

FOLDER = Path("build/soak")
_ALL = {**JUDGED, **SHOWN}


@dataclass(frozen=True)
class TimedSwap:
    """One swap: when the version served (epoch s), which, and how many seconds after the alias was moved."""

    time: float
    version: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """What one soak has seen; ``warm_up`` is in seconds."""

    samples: Sequence[Sample]
    collections: Sequence[Collected]
    swaps: Sequence[TimedSwap]
    account: Account
    warm_up: float

    @property
    def began(self) -> float:
        """When the first sample was taken (epoch s)."""
        return self.samples[0]["time"]

    @property
    def minutes(self) -> float:
        """How long samples were taken."""
        return (self.samples[-1]["time"] - self.began) / 60

    def points(self, name: str) -> Points:
        """Return one series, by the seconds since the first sample."""
        if (collected := name.removesuffix("_mean")) in ("heap", "metaspace"):
            during = [c for c in self.collections if self.began <= c.time <= self.samples[-1]["time"]]
            return [c.time - self.began for c in during], [float(getattr(c, collected)) for c in during]
        return [sample["time"] - self.began for sample in self.samples], [sample[name] for sample in self.samples]

    def trends(self) -> dict[str, Trend]:
        """Return each series' trend after the warm-up."""
        return {
            name: trend(self._settled(name), SWAP_EVERY, series.limit, series.value) for name, series in _ALL.items()
        }

    def _settled(self, name: str) -> Points:
        times, values = self.points(name)
        first = next((i for i, when in enumerate(times) if when >= self.warm_up), len(times))
        return times[first:], values[first:]


def passed(run: Run, trends: Mapping[str, Trend]) -> bool:
    """Return whether every event came out once, the alias moved every minute, and every judged series is flat."""
    swapped = len(run.swaps) >= int(run.minutes)
    return run.account.balanced and swapped and all(trends[name].verdict == "flat" for name in JUDGED)


def write(run: Run, console: Console) -> bool:
    """Print the table, write summary, samples and plots, and return whether the run passed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    trends = run.trends()
    console.print(_table(trends))
    console.print(_sentence(run), highlight=False)
    (FOLDER / "summary.json").write_text(json.dumps(_summary(run, trends), indent=1) + "\n")
    (FOLDER / "samples.json").write_text(json.dumps({name: run.points(name) for name in _ALL}))
    for plot in dict.fromkeys(series.plot for series in _ALL.values()):
        _draw(run, trends, plot)
    console.print(f"Plots, samples and summary.json are in {FOLDER}.", highlight=False)
    return passed(run, trends)


def _sentence(run: Run) -> str:
    account, slowest = run.account, max((swap.seconds for swap in run.swaps), default=0.0)
    return (
        f"{run.minutes:.0f} minutes, {account.events_in:,} events: {account.predictions:,} predictions,"
        f" {account.dead_letters:,} dead letters, {account.missing} missing, {account.duplicates} twice."
        f" {len(run.swaps)} swaps, the slowest in {slowest:.1f} s."
    )


def _table(trends: Mapping[str, Trend]) -> Table:
    table = Table("series", title="Growth after the warm-up, between its 95 % bounds")
    for heading in ("mean", "lower", "upper", "limit"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for number, (name, growth) in enumerate(trends.items()):
        table.add_row(*_row(_ALL[name], growth, judged=name in JUDGED), end_section=number == len(JUDGED) - 1)
    return table


def _row(series: SoakSeries, trend: Trend, *, judged: bool) -> tuple[str, ...]:
    growths = (trend.slope - trend.margin, trend.slope + trend.margin, trend.limit)
    verdict: str = trend.verdict
    if verdict == "not resolved":
        verdict += f", would take {trend.minutes_needed:,.0f} min"
    shown = (series.growth(trend, growth) for growth in growths)
    return series.title, f"{trend.mean / series.unit:,.1f}", *shown, verdict if judged else f"({verdict})"


def _summary(run: Run, trends: Mapping[str, Trend]) -> dict[str, Any]:
    return {
        "passed": passed(run, trends),
        "minutes": round(run.minutes, 1),
        "warm_up_minutes": run.warm_up / 60,
        **asdict(run.account),
        "swaps": len(run.swaps),
        "swap_seconds": [round(swap.seconds, 1) for swap in run.swaps],
        "series": {name: {"judged": name in JUDGED, **_numbers(trend)} for name, trend in trends.items()},
    }


def _numbers(trend: Trend) -> dict[str, Any]:
    numbers = {
        "mean": trend.mean,
        "lower_per_day": trend.slope - trend.margin,
        "upper_per_day": trend.slope + trend.margin,
        "limit_per_day": trend.limit,
        "minutes_needed": trend.minutes_needed,
    }
    plain = {name: round(value, 3) if math.isfinite(value) else None for name, value in numbers.items()}
    return {"verdict": trend.verdict, **plain}


def _draw(run: Run, trends: Mapping[str, Trend], plot: str) -> None:
    names = [name for name, series in _ALL.items() if series.plot == plot]
    figure = Figure(figsize=(11, 2.4 * len(names)), layout="constrained")
    for axes, name in zip(figure.subplots(len(names), squeeze=False)[:, 0], names, strict=True):
        _draw_series(axes, run, name, trends[name])
    axes.set_xlabel("minutes; grey: a swap; red: the warm-up ends, and the fitted line begins")
    figure.savefig(FOLDER / f"{plot}.png", dpi=90)


def _draw_series(axes: Axes, run: Run, name: str, fitted: Trend) -> None:
    series, (times, values) = _ALL[name], run.points(name)
    for swap in run.swaps:
        axes.axvline((swap.time - run.began) / 60, color="0.85", lw=0.8, zorder=0)
    axes.axvline(run.warm_up / 60, color="tab:red", lw=0.8)
    axes.plot(np.asarray(times) / 60, np.asarray(values) / series.unit, lw=0.7, marker=".", ms=3)
    if times and math.isfinite(fitted.margin):
        ends = np.array([max(run.warm_up, times[0]), times[-1]])
        line = fitted.mean + fitted.slope / DAY * (ends - ends.mean())
        axes.plot(ends / 60, line / series.unit, color="tab:red", lw=1.2)
    axes.set_title(f"{series.title}: {fitted.verdict}", fontsize=9, loc="left")
    axes.ticklabel_format(useOffset=False)
