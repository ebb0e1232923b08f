"""How often windows signal that change with the hour and the day of the week as they always did.

The reference's windows are chosen by the code that training uses, of windows that lie one after the other. Each column
has a season of its own: its hours and weekdays begin at another window and go up or down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.drift.alarms import INVALID, Alarms, Setup, count, draw, profile_of, sizes_of, windows_of
from benchmarks.drift.columns import Floats, Ints, ReferencePlan, SimulatedColumn, draw_reference
from streaming.drift.decision import DetectionRules, WindowJudge
from streaming.training.spread import spread

KEPT = 60
"""Windows of a reference that are counted apart."""
RUNNING = 168
"""Windows that one reference judges: a week of hours."""
_NOISE = 0.1
"""The part of the variance between windows that is no season."""


@dataclass(frozen=True)
class Season:
    """What repeats: ``hours`` of a day, ``weekends``, or both; windows are of an hour, or of a day without hours."""

    name: str
    hours: bool
    weekends: bool
    days: int

    @property
    def windows(self) -> int:
        """Windows of the reference."""
        return self.days * (24 if self.hours else 1)

    def levels(self, numbers: Ints, rng: np.random.Generator) -> Floats:
        """Return what the rows of each window share: mean 0, variance 1, nine tenths of it the season."""
        day = numbers // 24 if self.hours else numbers
        season = np.zeros(len(numbers))
        if self.hours:
            # Scaled to variance 1, as the weekends are, so that both count alike.
            season += np.sqrt(2) * np.sin(2 * np.pi * (numbers + rng.integers(24)) / 24)
        if self.weekends:
            weekend = (day + rng.integers(7)) % 7 < 2
            season += rng.choice([-1, 1]) * (weekend - 2 / 7) / np.sqrt(10 / 49)
        season /= np.sqrt(self.hours + self.weekends)
        return np.asarray(np.sqrt(1 - _NOISE) * season + np.sqrt(_NOISE) * rng.standard_normal(len(numbers)))


SEASONS = (
    *(Season(f"hours of the day, {days} days", hours=True, weekends=False, days=days) for days in (30, 90)),
    *(Season(f"weekends, {days} days", hours=False, weekends=True, days=days) for days in (365, 420)),
    *(Season(f"hours and weekends, {days} days", hours=True, weekends=True, days=days) for days in (28, 91)),
)


def setup(season: Season, rows: int, r: float, windows: int) -> Setup:
    """Return windows of ``rows`` rows after a reference of the season's days."""
    plan = ReferencePlan(season.windows * rows, season.windows, r)
    return Setup(name=f"{season.name}, r={r:g}", rows=rows, plan=plan, running=RUNNING, windows=windows)


def seasonal_alarms(
    season: Season, chosen: Setup, table: tuple[SimulatedColumn, ...], rng: np.random.Generator
) -> Iterator[Alarms]:
    """Yield the counts after each reference."""
    alarms, rules, plan = Alarms(), DetectionRules(), chosen.plan
    apart = spread(range(season.windows), KEPT)
    while alarms.windows < chosen.windows:
        levels = [season.levels(np.arange(season.windows + RUNNING), rng) for _ in table]
        references = [
            draw_reference(column, rng, plan, level[: season.windows], apart)
            for column, level in zip(table, levels, strict=True)
        ]
        sizes = sizes_of(chosen, rules.column.min_rows, rng)
        drawn = [
            draw(reference, sizes, rng, plan.r, level[season.windows :])
            for reference, level in zip(references, levels, strict=True)
        ]
        judge = WindowJudge(profile_of(references, plan), rules)
        count(alarms, judge, windows_of(references, drawn, rng.binomial(sizes, INVALID)))
        yield alarms
