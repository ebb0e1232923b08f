"""Real flights, whole days drawn anew: events of a day are alike, and the guard must not take that for a difference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.guard.exchangeable import first_harm, log_losses_clipped
from benchmarks.guard.flights import CHAMPION, FlightScores
from streaming.rollout.days import DaySums
from streaming.rollout.gross_harm import GrossRules
from streaming.rollout.judge import FEWEST_DAYS, HarmFinding, HarmRules, judge
from streaming.statistics.arrays import Floats, Ints

ALPHA = 0.01
_EVERY = 50
"""Events between two looks of the tier of single events."""


@dataclass(frozen=True)
class CandidateDays:
    """A candidate against the champion, day by day: the losses of both on each flight, in order.

    ``deviation`` is that between days' mean differences in the months before, as a backtest would measure it.
    """

    name: str
    champion: list[Floats]
    candidate: list[Floats]
    deviation: float

    @property
    def difference(self) -> float:
        """The mean difference of all flights."""
        return float(np.concatenate(self.candidate).mean() - np.concatenate(self.champion).mean())

    def equal(self) -> CandidateDays:
        """Return the same days with the mean difference removed: both versions equal, days as different as ever."""
        # Over days and not flights, as whole days are drawn and each counts once.
        shift = float(np.mean([c.mean() - b.mean() for b, c in zip(self.champion, self.candidate, strict=True)]))
        return CandidateDays(self.name, self.champion, [losses - shift for losses in self.candidate], self.deviation)

    def design_effect(self) -> float:
        """By how much days differ more than if their events were independent."""
        differences = [c - b for b, c in zip(self.champion, self.candidate, strict=True)]
        each = np.concatenate(differences)
        independent = each.var() * np.mean([1 / len(day) for day in differences])
        return float(np.var([day.mean() for day in differences], ddof=1) / independent)


def candidate_days(scores: FlightScores, name: str) -> CandidateDays:
    """Return a candidate's days of August and September, with the deviation between those of June and July."""
    losses = {model: log_losses_clipped(scores.late, scores.probability[model]) for model in (CHAMPION, name)}
    days = np.unique(scores.day)
    # Half of the days teach how much days differ; runs are drawn from the others.
    cut = days[len(days) // 2]
    sides = {model: [losses[model][scores.day == day] for day in days] for model in losses}
    pairs = list(zip(sides[CHAMPION], sides[name], strict=True))
    learnt = [float(c.mean() - b.mean()) for day, (b, c) in zip(days, pairs, strict=True) if day < cut]
    drawn_from = [pair for day, pair in zip(days, pairs, strict=True) if day >= cut]
    return CandidateDays(name, [b for b, _ in drawn_from], [c for _, c in drawn_from], float(np.std(learnt, ddof=1)))


def days_to_harm(days: CandidateDays, rng: np.random.Generator, runs: int, length: int) -> Floats:
    """Return after how many whole days each run finds harm, looking after each; infinite if it does not."""
    means = np.array([c.mean() - b.mean() for b, c in zip(days.champion, days.candidate, strict=True)])
    rules = HarmRules(alpha=ALPHA, deviation=days.deviation)
    events = np.full(length, 900)
    found_after = []
    for _ in range(runs):
        drawn = means[rng.integers(0, len(means), length)]
        looks = (
            look
            for look in range(FEWEST_DAYS, length + 1)
            if judge(_sums(drawn[:look], events[:look]), rules).finding is HarmFinding.HARM
        )
        found_after.append(float(next(looks, math.inf)))
    return np.array(found_after)


def events_to_harm(days: CandidateDays, rules: GrossRules, rng: np.random.Generator, runs: int, length: int) -> Floats:
    """Return after how many events each run of whole days finds harm by single events; infinite if it does not."""
    found_after = []
    for _ in range(runs):
        drawn = rng.integers(0, len(days.champion), length).tolist()
        losses = (
            np.concatenate([days.champion[day] for day in drawn]),
            np.concatenate([days.candidate[day] for day in drawn]),
        )
        looks = range(_EVERY, len(losses[0]) + 1, _EVERY)
        found_after.append(first_harm(losses, looks, rules))
    return np.array(found_after)


def _sums(means: Floats, events: Ints) -> DaySums:
    return DaySums(np.arange(len(means)), events, means * events)
