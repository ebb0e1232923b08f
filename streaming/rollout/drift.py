"""The judge's drift check: a candidate whose events are further from its training than the champion's from its own.

Both arms have the same stream, so a stream that moves away from what both versions were trained on says nothing about
the candidate, and holding it would keep a version that is as far from home. What counts is the difference, column by
column in the same window: a candidate that alone meets another world than it was made for was trained on something
else than it is given, or its keys are unlike the others. That is no proof of harm, so it holds and never rolls back.

Distances are compared, the square roots of the drift job's effects: a shift of s standard deviations is an index of
about s squared, so the chance in an effect grows with it, and the chance in a distance does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.drift import State
from streaming.rollout.judge import HarmFinding
from streaming.words import plural

TOLERATED = 0.3
"""How much further the candidate may be; where the champion has not moved, that is an index of 0.09, called small."""


@dataclass(frozen=True)
class ColumnDrift:
    """One column of a window against the reference profile of the version that answered, as the drift job has it.

    Attributes:
        state: of the column after the window.
        effect: the size of the difference on the stability index's scale, without the noise of chance.
        moved: what has moved in words; empty if this very window has not.
        since: the start of the first window of the running signal, RFC 3339 in UTC; ``None`` without one.
    """

    state: State
    effect: float
    moved: str = ""
    since: str | None = None

    @property
    def distance(self) -> float:
        """How far the window is from the reference; for a shift, about its size in the reference's deviations."""
        return math.sqrt(self.effect)

    @property
    def is_known(self) -> bool:
        """Return whether the window had enough rows of the column."""
        return self.state is not State.INSUFFICIENT


Columns = Mapping[str, ColumnDrift]
"""A version's columns in a window, by name; empty if the version has no reference profile."""


@dataclass(frozen=True)
class PairedWindow:
    """A window in which both versions have answered events; ``start`` is RFC 3339 in UTC."""

    start: str
    champion: Columns
    candidate: Columns

    def distances(self, name: str) -> tuple[float, float] | None:
        """Return the champion's distance and the candidate's in a column; ``None`` where they cannot be compared."""
        candidate = self.candidate.get(name)
        if candidate is None or not candidate.is_known or not self.champion:
            return None
        # A column that the champion does not read has not moved for it.
        champion = self.champion.get(name, ColumnDrift(State.STABLE, 0.0))
        return (champion.distance, candidate.distance) if champion.is_known else None


@dataclass(frozen=True)
class ColumnGap:
    """A column that drifts for the candidate, by its latest window that shows the movement.

    Attributes:
        name: the column's.
        moved: what has moved for the candidate, in words.
        since: the start of the first window of its signal.
        champion: the champion's distance from its training in the same window.
        candidate: the candidate's distance.
    """

    name: str
    moved: str
    since: str
    champion: float
    candidate: float

    @property
    def size(self) -> float:
        """How much further the candidate is from its training than the champion from its own."""
        return self.candidate - self.champion


@dataclass(frozen=True)
class DriftVerdict:
    """``largest`` is the gap of the column in which the candidate is furthest beyond the champion, if any drifts.

    ``windows`` is the number of those in which a column could be compared, ``holds`` whether the rollout is held.
    """

    finding: HarmFinding
    windows: int
    largest: ColumnGap | None
    holds: bool
    sentence: str


def judge_drift(windows: Sequence[PairedWindow], tolerated: float) -> DriftVerdict:
    """Judge the candidate's inputs against the champion's; the verdict is never harm.

    Args:
        windows: those that both versions have, in the order of time.
        tolerated: the difference of the distances in a column that holds nothing.
    """
    names = sorted({name for window in windows for name in window.candidate})
    compared = [window for window in windows if any(window.distances(name) is not None for name in names)]
    gaps = [gap for name in names if (gap := _gap(name, compared)) is not None]
    gaps.sort(key=lambda gap: gap.size, reverse=True)
    beyond = [gap for gap in gaps if gap.size > tolerated]
    finding = HarmFinding.NO_WORSE if compared and not beyond else HarmFinding.NOT_TOLD
    sentence = _held(beyond, tolerated) if beyond else _calm(gaps, len(windows), len(compared), tolerated)
    return DriftVerdict(
        finding=finding,
        windows=len(compared),
        largest=gaps[0] if gaps else None,
        holds=bool(beyond),
        sentence=f"{finding.value}: {sentence}",
    )


def _gap(name: str, windows: Sequence[PairedWindow]) -> ColumnGap | None:
    """Return the gap of a column whose drift is open after the newest window that says anything about it."""
    newest_first = [
        (window.start, window.candidate[name], distances)
        for window in reversed(windows)
        if (distances := window.distances(name)) is not None
    ]
    if not newest_first or newest_first[0][1].state is not State.DRIFT:
        return None
    newest_start, newest, _ = newest_first[0]
    since = newest.since or newest_start
    # A drift stays open over a quiet window, which itself shows no movement.
    for start, column, (champion, candidate) in newest_first:
        if column.moved and start >= since:
            return ColumnGap(name=name, moved=column.moved, since=since, champion=champion, candidate=candidate)
    return None


def _held(gaps: Sequence[ColumnGap], tolerated: float) -> str:
    first, others = gaps[0], [gap.name for gap in gaps[1:]]
    also = f"; also {', '.join(others)}" if others else ""
    return (
        f"the candidate's events are not those of its training: {first.name} since {first.since} ({first.moved}), a"
        f" distance of {first.candidate:.2f} where the champion's is {first.champion:.2f} and {tolerated:g} more is"
        f" tolerated{also}"
    )


def _calm(gaps: Sequence[ColumnGap], pairs: int, compared: int, tolerated: float) -> str:
    if not pairs:
        return "`penstock drift run` has written no window yet in which both versions have answered"
    if not compared:
        return f"in {plural(pairs, 'window')} none had enough rows and a reference profile of both versions"
    if not gaps:
        return f"in {plural(compared, 'window')} no column of the candidate's is in drift"
    first = gaps[0]
    return (
        f"in {plural(compared, 'window')} the candidate is in no column more than {tolerated:g} further from its"
        f" training than the champion from its own; in {first.name} the distances are {first.candidate:.2f} and"
        f" {first.champion:.2f}"
    )
