"""How often, and how soon, a movement is found: by us and by other rules on the same windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.drift import rules as other
from benchmarks.drift.alarms import draw, profile_of, windows_of
from benchmarks.drift.columns import (
    STILL,
    ColumnMove,
    Floats,
    Ints,
    Reference,
    ReferencePlan,
    SimulatedColumn,
    cells,
    draw_reference,
)
from schemas.drift import State
from streaming.drift.decision import DetectionRules, WindowJudge

MOVES = (
    *(ColumnMove(f"shift of {shift} sd", "normal 1", shift=shift) for shift in (0.1, 0.25, 0.5)),
    *(ColumnMove(f"new category, {share:.1%}", "five 1", unseen=share) for share in (0.005, 0.01, 0.02)),
    *(ColumnMove(f"nulls 5 % + {100 * rise:g} points", "nulls 1", nulls=rise) for rise in (0.005, 0.01, 0.02, 0.05)),
)
QUARTER = MOVES[1]
RULES = ("penstock", "psi_same_alarms", "psi_0.1", "psi_0.25", "evidently", "nannyml")
RUNNING = 20
"""Windows one after the other, in which a movement is looked for."""
REFERENCE_WINDOWS = 30
_CALIBRATION = 300
"""Windows by one reference where thresholds are set."""

Hits = dict[str, NDArray[np.bool_]]


@dataclass
class DetectionPower:
    """The windows in which each rule named the moved column, and how many windows Penstock needed."""

    hits: dict[str, list[NDArray[np.bool_]]] = field(default_factory=lambda: {name: [] for name in RULES})
    to_warning: list[int] = field(default_factory=list)
    to_drift: list[int] = field(default_factory=list)

    def rate(self, name: str) -> float:
        return float(np.concatenate(self.hits[name]).mean())

    def record(self) -> dict[str, Any]:
        """Return the rates, and how often one of the two found what the other did not."""
        ours, theirs = (np.concatenate(self.hits[name]) for name in RULES[:2])
        more, fewer = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        return {
            **{name: round(self.rate(name), 4) for name in RULES},
            "only_penstock": more,
            "only_psi": fewer,
            # McNemar's exact test: the chance of so many more on one side if both were as good.
            "worse_p": round(_chance(fewer, more), 5),
            "better_p": round(_chance(more, fewer), 5),
            "windows_to_warning": _median(self.to_warning),
            "windows_to_drift": _median(self.to_drift),
        }


def _chance(many: int, few: int) -> float:
    return float(stats.binom.sf(many - 1, many + few, 0.5))


def _median(after: list[int]) -> float | None:
    """Return the median; None if it is beyond the windows that were looked at."""
    windows = median(after)
    return windows if windows <= RUNNING else None


@dataclass(frozen=True)
class Windows:
    """Windows of one column, in the profile's bins and, of a number, in fine cells."""

    counts: Ints
    fine: other.Fine | None
    drawn: Ints


def draw_windows(reference: Reference, rows: int, move: ColumnMove, rng: np.random.Generator) -> Windows:
    """Draw windows of which both our bins and the peers' raw values are known."""
    if not reference.column.numeric:
        counts = rng.multinomial(rows, cells(reference.column, reference.edges, move)[0], size=RUNNING)
        return Windows(counts, None, counts)
    fine = other.Fine(reference)
    drawn = rng.multinomial(rows, fine.shares(move), size=RUNNING)
    return Windows(fine.bins(drawn), fine, drawn)


def calibrate(
    rows: int, table: tuple[SimulatedColumn, ...], rate: float, windows: int, rng: np.random.Generator
) -> Floats:
    """Return the stability index of each column at which so many windows without drift signal."""
    plan, parts = ReferencePlan(REFERENCE_WINDOWS * rows, REFERENCE_WINDOWS), []
    # Rounded up: at least as many windows as were asked for.
    for _ in range(-(-windows // _CALIBRATION)):
        references = [draw_reference(column, rng, plan) for column in table]
        sizes = np.full(_CALIBRATION, rows)
        parts.append(
            [other.stability_index(as_row(reference), draw(reference, sizes, rng)) for reference in references]
        )
    return other.thresholds(np.concatenate([np.array(part).T for part in parts]), rate)


def as_row(reference: Reference) -> Ints:
    return np.array([reference.profile.counts.get(bin_id, 0) for bin_id in reference.profile.bins])


def chunks(reference: Reference) -> Ints:
    return np.array(
        [[window.get(bin_id, 0) for bin_id in reference.profile.bins] for window in reference.profile.windows]
    )


def compare(
    rows: int, table: tuple[SimulatedColumn, ...], limits: Floats, groups: int, rng: np.random.Generator
) -> Iterator[dict[str, DetectionPower]]:
    """Yield what was found after each reference, for every move and for none of them (under its name)."""
    plan = ReferencePlan(REFERENCE_WINDOWS * rows, REFERENCE_WINDOWS)
    powers = {move.name: DetectionPower() for move in (STILL, *MOVES)}
    names = [column.name for column in table]
    for _ in range(groups):
        references = [draw_reference(column, rng, plan) for column in table]
        judge = WindowJudge(profile_of(references, plan), DetectionRules())
        still = [draw_windows(reference, rows, STILL, rng) for reference in references]
        each = [
            by_others(reference, windows, limits[index])
            for index, (reference, windows) in enumerate(zip(references, still, strict=True))
        ]
        for name in RULES[1:]:
            powers[STILL.name].hits[name].append(np.any([hits[name] for hits in each], axis=0))
        powers[STILL.name].hits[RULES[0]].append(_ours(judge, references, still, None, powers[STILL.name]))
        for move in MOVES:
            index = names.index(move.column)
            moved = draw_windows(references[index], rows, move, rng)
            now = [*still[:index], moved, *still[index + 1 :]]
            hits = by_others(references[index], moved, limits[index])
            for name in RULES[1:]:
                powers[move.name].hits[name].append(hits[name])
            powers[move.name].hits[RULES[0]].append(_ours(judge, references, now, index, powers[move.name]))
        yield powers


def by_others(reference: Reference, windows: Windows, limit: float) -> Hits:
    """Say which windows of a column each of the other rules would name."""
    row = as_row(reference)
    index = other.stability_index(row, windows.counts)
    return {
        "psi_same_alarms": index > limit,
        "psi_0.1": index >= 0.1,
        "psi_0.25": index >= 0.25,
        "evidently": other.evidently(row, windows.counts, windows.fine, windows.drawn),
        "nannyml": other.nannyml(row, chunks(reference), windows.counts),
    }


def _ours(
    judge: WindowJudge, references: list[Reference], now: list[Windows], index: int | None, power: DetectionPower
) -> NDArray[np.bool_]:
    judge.memory = {}
    drawn = [windows.counts for windows in now]
    hits, states = [], []
    for window in windows_of(references, drawn, np.zeros(RUNNING, np.int64)):
        verdicts = judge.judge(window)
        chosen = verdicts if index is None else [verdicts[index]]
        hits.append(any(verdict.signal for verdict in chosen))
        states.append({verdict.state for verdict in chosen})
    power.to_warning.append(_first(states, {State.WARNING, State.DRIFT}))
    power.to_drift.append(_first(states, {State.DRIFT}))
    return np.array(hits)


def _first(states: list[set[State]], states_sought: set[State]) -> int:
    return next((number for number, seen in enumerate(states, 1) if seen & states_sought), RUNNING + 1)
