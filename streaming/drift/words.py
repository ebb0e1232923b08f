"""What a verdict says, in words for the log, the alert and the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streaming.drift.decision import INVALID, Verdict
from streaming.drift.detection import level_shift
from streaming.drift.pair import SPECIAL, Pair
from streaming.drift.states import State
from streaming.statistics.shares import shares

_SPECIAL = {"nulls": ("null", -3), "non_finite": ("not finite", -2), "unseen": ("a value the model was not shown", -1)}


def cause(verdict: Verdict) -> str:
    """Return why the column is in its state, such as ``level rose by 0.31 standard deviations``."""
    if verdict.state is State.INSUFFICIENT:
        return f"{verdict.m:,} rows are too few to say"
    if verdict.state is State.STABLE:
        return "as the reference, within chance"
    if not verdict.signal:
        return "as the reference in this window, but not yet for long enough"
    return movement(verdict)


def movement(verdict: Verdict) -> str:
    """Return what moved, whether or not it signals."""
    if verdict.column == INVALID or verdict.pair is None:
        return f"{verdict.share:.1%} of rows became dead letters"
    test, pair = verdict.detection.finding.test, verdict.pair
    if test in _SPECIAL:
        name, place = _SPECIAL[test]
        return f"{name}: {_share(pair.window, place)} of rows, {_share(pair.reference, place)} in the reference"
    if test == "beyond":
        way, place = ("above", -1) if verdict.detection.finding.direction > 0 else ("below", 0)
        return f"{_share(pair.values[1], place)} of rows are {way} all of the reference's values"
    if test == "level":
        shift = level_shift(pair)
        return f"level {'rose' if shift > 0 else 'fell'} by {abs(shift):.2f} standard deviations"
    return f"shape: {_most(pair)}"


def _share(counts: Sequence[int], place: int) -> str:
    return f"{counts[place] / max(sum(counts), 1):.1%}"


def _most(pair: Pair) -> str:
    before, now = shares(pair.reference), shares(pair.window)
    place = int(np.abs(now - before).argmax())
    return f"{bin_name(pair, place)}: {before[place]:.1%} to {now[place]:.1%} of rows"


def bin_name(pair: Pair, place: int) -> str:
    """Return what people call the bin at ``place`` of the pair's cells."""
    values = len(pair.reference) - SPECIAL
    if place >= values:
        return ("null", "not finite", "other")[place - values]
    if not pair.ordered:
        categories = pair.profile.categories
        return categories[place] if place < len(categories) else "rare ones"
    edges = pair.profile.edges
    if not edges:
        return "any value"
    if place == 0:
        return f"below {edges[0]:.4g}"
    return f"from {edges[-1]:.4g}" if place == len(edges) else f"{edges[place - 1]:.4g} to {edges[place]:.4g}"
