"""How often windows without drift signal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.drift.columns import (
    STILL,
    Floats,
    Ints,
    Reference,
    ReferencePlan,
    SimulatedColumn,
    as_counts,
    cells,
    draw_reference,
)
from schemas.drift import State
from streaming.drift.decision import DetectionRules, WindowCounts, WindowJudge
from streaming.models.profile import ReferenceProfile

INVALID = 0.004
"""The share of dead letters, under what the rules allow."""
VARIES = 0.2
"""How much windows' rows vary: the standard deviation of their logarithm."""


@dataclass(frozen=True)
class Setup:
    """Windows of about ``rows`` rows; ``running`` of them are judged by one reference, then another is drawn."""

    name: str
    rows: int
    plan: ReferencePlan
    running: int
    windows: int


@dataclass
class Alarms:
    """What was counted. Windows that were too small to say anything are no part of ``windows``."""

    windows: int = 0
    signals: int = 0
    drifts: int = 0
    insufficient: int = 0

    @property
    def rate(self) -> float:
        return self.signals / max(self.windows, 1)

    @property
    def upper(self) -> float:
        """The one-sided 95 % bound by Clopper and Pearson."""
        return float(stats.beta.ppf(0.95, self.signals + 1, self.windows - self.signals))

    def record(self, setup: Setup) -> dict[str, Any]:
        return {
            "setup": setup.name,
            "rows": setup.rows,
            **asdict(self),
            "rate": round(self.rate, 5),
            "upper": round(self.upper, 5),
            "drift_rate": round(self.drifts / max(self.windows, 1), 5),
            "insufficient_share": round(self.insufficient / max(self.windows + self.insufficient, 1), 5),
        }


def profile_of(references: list[Reference], plan: ReferencePlan) -> ReferenceProfile:
    return ReferenceProfile(tuple(reference.profile for reference in references), plan.rows)


def draw(
    reference: Reference, sizes: Ints, rng: np.random.Generator, r: float = 0.0, level: Floats | None = None
) -> Ints:
    """Draw a column's counts in windows of these sizes; ``level`` is what the rows of each share, by default drawn."""
    if r and level is None:
        level = rng.standard_normal(len(sizes))
    return rng.multinomial(sizes, cells(reference.column, reference.edges, STILL, level, r))


def windows_of(references: list[Reference], drawn: list[Ints], invalid: Ints) -> Iterator[WindowCounts]:
    """Yield what a job would have counted; the minutes are made up."""
    for number, (rows, *counts) in enumerate(zip(drawn[0].sum(axis=1), *drawn, strict=True)):
        columns = tuple(as_counts(reference.profile, row) for reference, row in zip(references, counts, strict=True))
        yield WindowCounts(
            start=60.0 * number, end=60.0 * (number + 1), rows=int(rows), invalid=int(invalid[number]), columns=columns
        )


def sizes_of(setup: Setup, least: int, rng: np.random.Generator) -> Ints:
    """Draw windows' rows; the smallest that are judged at all do not vary."""
    if setup.rows <= least:
        return np.full(setup.running, setup.rows)
    return (setup.rows * np.exp(VARIES * rng.standard_normal(setup.running))).astype(np.int64)


def false_alarms(
    setup: Setup, table: tuple[SimulatedColumn, ...], rng: np.random.Generator, ask: bool = True
) -> Iterator[Alarms]:
    """Yield the counts after each reference; ``ask`` the reference's windows how much windows differ, or do not."""
    alarms, rules = Alarms(), DetectionRules()
    while alarms.windows < setup.windows:
        references = [draw_reference(column, rng, setup.plan) for column in table]
        sizes = sizes_of(setup, rules.column.min_rows, rng)
        drawn = [draw(reference, sizes, rng, setup.plan.r) for reference in references]
        if not ask:
            references = [
                replace(reference, profile=replace(reference.profile, windows=())) for reference in references
            ]
        judge = WindowJudge(profile_of(references, setup.plan), rules)
        count(alarms, judge, windows_of(references, drawn, rng.binomial(sizes, INVALID)))
        yield alarms


def count(alarms: Alarms, judge: WindowJudge, windows: Iterable[WindowCounts]) -> None:
    """Judge windows one after the other and count those that signal."""
    for window in windows:
        verdicts = judge.judge(window)
        if all(verdict.state is State.INSUFFICIENT for verdict in verdicts[:-1]):
            alarms.insufficient += 1
            continue
        alarms.windows += 1
        alarms.signals += any(verdict.signal for verdict in verdicts)
        alarms.drifts += any(verdict.state is State.DRIFT for verdict in verdicts)
