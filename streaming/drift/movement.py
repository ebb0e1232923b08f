"""What moved in a window, as the record has it: the finding of the test that found most, with its numbers."""

from __future__ import annotations

from schemas.drift import INVALID
from schemas.movement import Movement, Shares, moved_share
from streaming.drift.decision import ColumnVerdict
from streaming.drift.detection import level_shift
from streaming.drift.pair import Pair
from streaming.drift.words import bin_name
from streaming.statistics.shares import shares

_SPECIAL = {"nulls": -3, "non_finite": -2, "unseen": -1}


def movement_of(verdict: ColumnVerdict) -> Movement | None:
    """Return how the column has moved; None where its rows are too few or as the reference in this window."""
    if not verdict.signal:
        return None
    if verdict.column == INVALID or verdict.pair is None:
        return moved_share(INVALID, Shares(None, verdict.share))
    finding, pair = verdict.detection.finding, verdict.pair
    if finding.test == "level":
        shift = level_shift(pair)
        return Movement(finding.test, 1 if shift > 0 else -1, abs(shift))
    if finding.test in _SPECIAL:
        return moved_share(finding.test, _shares(pair, _SPECIAL[finding.test]))
    if finding.test == "beyond":
        return _beyond(pair, finding.direction)
    return _shape(pair)


def _shares(pair: Pair, position: int) -> Shares:
    return Shares(float(shares(pair.reference)[position]), float(shares(pair.window)[position]))


def _beyond(pair: Pair, direction: int) -> Movement:
    """Return the share of the values, not of all rows, in the outermost bin, which has none of the reference's."""
    position = -1 if direction > 0 else 0
    before, now = (float(shares(side)[position]) for side in pair.values)
    return Movement("beyond", 1 if direction > 0 else -1, now - before, Shares(before, now))


def _shape(pair: Pair) -> Movement:
    before, now = shares(pair.reference).tolist(), shares(pair.window).tolist()
    position = max(range(len(before)), key=lambda at: abs(now[at] - before[at]))
    return moved_share("shape", Shares(before[position], now[position]), bin_name(pair, position))
