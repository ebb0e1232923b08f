"""Which arm has which part of the 2^32 points that keys are hashed to, and how arms grow and shrink.

A function of the shares alone cannot do it: with three arms beside the champion there is none under which an arm that
grows keeps its keys and takes from the champion only. So a step's intervals are made from those of the step before.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from streaming.errors import ConfigurationError, DataError

CHAMPION = "champion"
"""The arm that has every point which no other arm has."""
CANDIDATE = "candidate"
"""The arm of a rollout's version, until that is the champion."""
POINTS = 2**32


class ArmSpan(NamedTuple):
    """The points from ``start`` to before ``end``, all of one arm."""

    start: int
    end: int
    arm: str


@dataclass(frozen=True)
class ArmIntervals:
    """The arms of neighbouring intervals: ``arms[i]`` has the points from ``ends[i - 1]`` to before ``ends[i]``.

    The first interval starts at 0.

    Raises:
        DataError: the ends do not ascend to 2^32, or there are not as many as arms.
    """

    arms: tuple[str, ...]
    ends: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse intervals that leave a point without an arm."""
        ascend = all(below < above for below, above in pairwise((0, *self.ends)))
        if len(self.arms) != len(self.ends) or not ascend or self.ends[-1:] != (POINTS,):
            raise DataError(
                f"the intervals of a rollout end at {list(self.ends)} for the arms {list(self.arms)}; there must be an"
                f" end for each arm, ascending, and the last must be {POINTS}. Take them from the rollout's record"
            )

    @property
    def spans(self) -> Iterator[ArmSpan]:
        """Each interval with both its ends, ascending."""
        return (ArmSpan(*row) for row in zip((0, *self.ends), self.ends, self.arms, strict=False))

    def arm_at(self, point: int) -> str:
        """Return the arm of a point from 0 to before 2^32."""
        return self.arms[bisect_right(self.ends, point)]

    def points(self, arm: str) -> int:
        """Return how many of the 2^32 points an arm has."""
        return sum(span.end - span.start for span in self.spans if span.arm == arm)

    def changed_to(self, shares: Mapping[str, float]) -> ArmIntervals:
        """Return the intervals of the next step.

        An arm that grows loses no point, one that shrinks gains none, and one whose share stays keeps its points. While
        none shrinks, all that is gained comes from the champion. The order of ``shares`` does not matter.

        Args:
            shares: arm to its share from 0 to 1, of every arm but the champion, which has the rest. An arm that is not
                named has none from now on.

        Raises:
            ConfigurationError: a share is not from 0 to 1, they exceed 1 together, or one is the champion's.
        """
        _check(shares)
        # Rounded down: the arms together never need more points than there are.
        sizes = {arm: math.floor(share * POINTS) for arm, share in shares.items()}
        spans = list(self.spans)
        for arm in sorted(set(self.arms) - {CHAMPION}):
            surplus = self.points(arm) - sizes.get(arm, 0)
            spans = list(_handed_over(spans, Handover(arm, CHAMPION, surplus), from_above=True))
        for arm in sorted(sizes):
            missing = sizes[arm] - self.points(arm)
            spans = list(_handed_over(spans, Handover(CHAMPION, arm, missing), from_above=False))
        return _merged(spans)


class Handover(NamedTuple):
    """A number of points that go from one arm to another; none if ``points`` is negative."""

    giver: str
    taker: str
    points: int


ALL_CHAMPION = ArmIntervals((CHAMPION,), (POINTS,))
"""The intervals before a rollout's first step."""


def _check(shares: Mapping[str, float]) -> None:
    wrong = {arm: share for arm, share in shares.items() if not 0 <= share <= 1}
    # Unlike a plain sum, fsum does not depend on the order of the shares.
    if wrong or math.fsum(shares.values()) > 1:
        raise ConfigurationError(f"shares of a rollout are from 0 to 1 and at most 1 together, not {dict(shares)}")
    if CHAMPION in shares:
        raise ConfigurationError(f"the arm {CHAMPION!r} has what the others leave; name the shares of the others alone")


def _handed_over(spans: list[ArmSpan], handover: Handover, *, from_above: bool) -> Iterator[ArmSpan]:
    """Yield the spans after the handover, ascending; the giver's lowest points go first, or its highest."""
    remaining_points = max(handover.points, 0)
    result = []
    for start, end, arm in reversed(spans) if from_above else spans:
        size = min(remaining_points, end - start) if arm == handover.giver else 0
        remaining_points -= size
        cut = end - size if from_above else start + size
        handed, remaining = ((cut, end), (start, cut)) if from_above else ((start, cut), (cut, end))
        result += [ArmSpan(*handed, handover.taker), ArmSpan(*remaining, arm)]
    yield from sorted(span for span in result if span.start < span.end)


def _merged(spans: Iterable[ArmSpan]) -> ArmIntervals:
    arms: list[str] = []
    ends: list[int] = []
    for span in spans:
        if arms and arms[-1] == span.arm:
            ends[-1] = span.end
        else:
            arms.append(span.arm)
            ends.append(span.end)
    return ArmIntervals(tuple(arms), tuple(ends))
