"""Independent events: how often the test of single events is wrong there, and how many it needs for each bad model.

Here a block of the rollout's test may be a single event. So the bounds are those of :mod:`streaming.rollout.gross_harm`
without a margin, and not those of the guard on real traffic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.guard.flights import calibrated, noisy_copy
from streaming.rollout.gross_harm import GrossRules, LossSums, judge_gross
from streaming.rollout.judge import HarmFinding
from streaming.statistics.arrays import Floats, Ints
from streaming.statistics.ranking import auc

ALPHA = 0.01
_POPULATION = 200_000
_CLIP = 0.01


@dataclass(frozen=True)
class PairedWorld:
    """A population of events: the loss of both versions on each."""

    name: str
    champion: Floats
    candidate: Floats

    @property
    def kappa(self) -> float:
        """The variance of the difference over its squared mean: what one event says."""
        difference = self.candidate - self.champion
        return float(difference.var() / difference.mean() ** 2)

    @property
    def unpaired_kappa(self) -> float:
        """The same for each event of both arms, if half of the events are the candidate's."""
        champion, candidate = self.champion - self.champion.mean(), self.candidate - self.champion.mean()
        variance = 2 * float((champion**2).mean() + (candidate**2).mean()) - float(candidate.mean()) ** 2
        return variance / float(candidate.mean()) ** 2


def log_losses_clipped(true: Floats, score: Floats) -> Floats:
    """Return the losses that a rollout compares: of probabilities clipped to 0.01 and 0.99."""
    clipped = np.clip(score, _CLIP, 1 - _CLIP)
    return np.asarray(-np.log(np.where(true > 0, clipped, 1 - clipped)), np.float64)


def worlds(rng: np.random.Generator) -> list[PairedWorld]:
    """Return the bad models, the two with bars of their own first."""
    made = []
    for rate, area in ((0.25, 0.76), (0.05, 0.90)):
        score, true = _calibrated(rate, area, rng)
        noise = rng.normal(size=_POPULATION)
        champion = log_losses_clipped(true, score)
        worse_ranked = log_losses_clipped(true, noisy_copy(score, true, 0.05, noise))
        worse_loss = _five_percent(score, true, noise, champion)
        at = f"{rate:.0%}, AUC {area}"
        made.append(PairedWorld(f"AUC -.05, noisier copy ({at})", champion, worse_ranked))
        made.append(PairedWorld(f"log loss +5 %, noisier copy ({at})", champion, worse_loss))
    return made


def equal_versions(rng: np.random.Generator) -> PairedWorld:
    """Return two versions that are equal in expectation: copies of one with as much noise each."""
    score, true = _calibrated(0.25, 0.76, rng)
    sides = [noisy_copy(score, true, 0.03, rng.normal(size=_POPULATION)) for _ in range(2)]
    champion, candidate = (log_losses_clipped(true, side) for side in sides)
    # Equal in the population as well, and not only before it was drawn.
    return PairedWorld("equal versions", champion, candidate - (candidate.mean() - champion.mean()))


def stopping_events(world: PairedWorld, rng: np.random.Generator, runs: int, every: int) -> Floats:
    """Return after how many events each run finds harm, looking after each ``every``; infinite if it does not."""
    kappa = world.kappa
    rules = GrossRules(alpha=ALPHA, share=0.0, expected=max(round(10 * kappa), 1))
    looks = np.arange(every, round(40 * kappa) + every, every)
    return np.array([first_harm(_draw(world, rng, int(looks[-1])), looks, rules) for _ in range(runs)])


def false_alarms(world: PairedWorld, rng: np.random.Generator, runs: int) -> int:
    """Return how many runs of 10,000 events find harm, looking after each hundred."""
    looks = np.arange(100, 10_001, 100)
    rules = GrossRules(alpha=ALPHA, share=0.0)
    return sum(first_harm(_draw(world, rng, 10_000), looks, rules) < math.inf for _ in range(runs))


def first_harm(losses: tuple[Floats, Floats], looks: Ints | Sequence[int], rules: GrossRules) -> float:
    """Return the first of the looks, in events, at which the guard finds harm; infinite if it never does."""
    champion, candidate = losses
    difference = candidate - champion
    columns = [np.cumsum(column) for column in (difference, difference**2, champion)]
    for look in looks:
        total, squares, baseline = (float(column[look - 1]) for column in columns)
        sums = LossSums(events=int(look), difference=total, squares=squares, champion=baseline)
        if judge_gross(sums, rules).finding is HarmFinding.HARM:
            return float(look)
    return math.inf


def _draw(world: PairedWorld, rng: np.random.Generator, events: int) -> tuple[Floats, Floats]:
    rows = rng.integers(0, _POPULATION, events)
    return world.champion[rows], world.candidate[rows]


def _calibrated(rate: float, area: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return probabilities and outcomes in which they come true, with about this rate and AUC."""
    normal, drawn = rng.normal(size=_POPULATION), rng.random(_POPULATION)

    def population(slope: float) -> tuple[Floats, Floats]:
        centre = _solved(lambda shift: float(_logistic(shift + slope * normal).mean()), rate, -12.0, 2.0)
        score = _logistic(centre + slope * normal)
        return score, (drawn < score).astype(np.float64)

    def area_of(slope: float) -> float:
        score, true = population(slope)
        return auc(score, true > 0)

    return population(_solved(area_of, area, 0.2, 6.0))


def _five_percent(score: Floats, true: Floats, noise: Floats, champion: Floats) -> Floats:
    logit = np.log(score / (1 - score))

    def candidate(amount: float) -> Floats:
        return log_losses_clipped(true, calibrated(logit + amount * noise, true))

    amount = _solved(lambda amount: float(candidate(amount).mean() / champion.mean()), 1.05, 0.0, 5.0)
    return candidate(amount)


def _solved(function: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Return where a function that grows reaches the target, by halving."""
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < target else (low, middle)
    return high


def _logistic(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)), np.float64)
