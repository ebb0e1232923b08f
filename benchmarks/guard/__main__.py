"""How often a rollout's guards are wrong, and how soon they are right.

Made-up independent events, keys in arms, and recorded flights of which whole days are drawn anew are judged by the
rollout's own functions. ``make bench-guard`` runs it and writes build/bench/guard.json. Each bar is printed with its
figure, kept or missed; the exit code is 1 if one is missed.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import typer
from rich.console import Console

from benchmarks.guard import arms, days, drift, exchangeable, latency, shift
from benchmarks.guard.flights import GROSS, NO_WEATHER, FlightScores, flight_scores
from benchmarks.guard.report import GuardResults, show, upper, write
from streaming.rollout.gross_harm import GrossRules
from streaming.rollout.latency import TOLERATED
from streaming.statistics.arrays import Floats


@dataclass(frozen=True)
class GuardEffort:
    """How many runs each figure is of."""

    null: int = 4_000
    stopping: int = 2_000
    errors: int = 1_000
    days: int = 1_000
    gross: int = 500
    shift: int = 300
    latency: int = 500
    batches: int = 3_000
    drift: int = 100


QUICK = GuardEffort(null=200, stopping=40, errors=100, days=100, gross=50, shift=50, latency=50, batches=200, drift=10)


@dataclass
class GuardBench:
    """The run: how much is drawn, with what, and what was found."""

    effort: GuardEffort
    rng: np.random.Generator
    results: GuardResults

    def independent(self) -> None:
        """Independent events: false alarms, and the events that each bad model needs."""
        runs = self.effort.null
        alarms = exchangeable.false_alarms(exchangeable.equal_versions(self.rng), self.rng, runs)
        self.results.figures["false_rollback_rate"] = alarms / runs
        self.results.bar(
            "false rollbacks, equal versions, 10,000 independent events (95 % bound)", upper(alarms, runs), 0.01
        )
        for world in exchangeable.worlds(self.rng):
            every = 5 if world.kappa < 500 else 50
            needed = exchangeable.stopping_events(world, self.rng, self.effort.stopping, every)
            median, late = self.results.stopped("events_to_rollback", world.name, needed)
            self._bad_model(world, median, late)

    def _bad_model(self, world: exchangeable.PairedWorld, median: float, late: float) -> None:
        kappa = world.kappa
        self.results.bar(f"{world.name}: median events / kappa ({kappa:.0f})", median / kappa, 10)
        self.results.bar(f"{world.name}: p90 events / kappa", late / kappa, 21)
        bounds = {"AUC -.05, noisier copy (25%": (640, 1_280), "log loss +5 %, noisier copy (25%": (800, 1_600)}
        for name, (middle, most) in bounds.items():
            if world.name.startswith(name):
                self.results.bar(f"{world.name}: median events", median, middle)
                self.results.bar(f"{world.name}: p90 events", late, most)
                ratio = world.unpaired_kappa / kappa
                self.results.bar(f"{world.name}: events unpaired at 50/50 / paired", ratio, 8, least=True)

    def keys(self) -> None:
        """Arms of keys: errors, bursts, changing shares, moved keys."""
        results, runs = self.results, self.effort.errors
        rates = arms.ErrorRates(base=0.001, ratio=10, share=0.05)
        needed = arms.canary_events(rates, self.rng, runs)
        median, late = results.stopped("canary_events_to_rollback", "errors 10 x 0.1 % at 5 %", needed)
        results.bar("errors 10 x 0.1 % at 5 %: median canary events", median, 500)
        results.bar("errors 10 x 0.1 % at 5 %: p90 canary events", late, 1_000)
        most = max(arms.failing_events(share) for share in (0.01, 0.05, 0.25, 0.5))
        results.bar("failure on every canary event, worst share of 1 to 50 %: canary events", most, 15)
        by_key, by_event = arms.burst_alarms(self.rng, runs)
        results.figures["key_burst_false_rate"] = by_key / runs
        results.bar(f"bursts of {arms.BURST} errors a key, equal arms: false rollbacks", by_key / runs, 0.01)
        results.remarks.append(("the same bursts, every error counted", f"{by_event / runs:.2f} false rollbacks"))
        changing = arms.changing_alarms(self.rng, runs)
        results.bar("share from 5 to 25 to 50 %, equal arms: false rollbacks", changing / runs, 0.01)
        moved, back = arms.moved_keys(self.rng)
        results.figures["moved_keys_share"] = moved
        results.bar("keys that move from 5 to 25 %: distance from 20 %", abs(moved - 0.2), 0.005)
        results.bar("keys that go back to the champion", back, 0)

    def flights(self, scores: FlightScores) -> None:
        """Whole days of real flights."""
        false_days: dict[str, float] = {}
        false_gross: dict[str, float] = {}
        for name in scores.candidates:
            worse = days.candidate_days(scores, name)
            self.results.figures.setdefault("design_effect", {})[name] = round(worse.design_effect(), 1)
            self._detected(worse, scores)
            if name not in GROSS:
                null = worse.equal()
                false_days[name] = _rate(days.days_to_harm(null, self.rng, self.effort.days, 30))
                false_gross[name] = _rate(self._gross(null, self._rules(null), 14))
        by_events = self._gross(
            days.candidate_days(scores, NO_WEATHER).equal(), GrossRules(alpha=days.ALPHA, share=0), 30
        )
        self.results.figures["false_rollback_rate_days"] = max(false_days.values())
        self.results.figures["false_rollback_rate_days_by_candidate"] = false_days
        self.results.figures["false_rollback_rate_gross_by_candidate"] = false_gross
        self.results.figures["false_rollback_rate_events_one_by_one"] = _rate(by_events)
        self.results.bar("false rollbacks, real days, 30 days, worst candidate", max(false_days.values()), 0.01)
        self.results.bar(
            "false rollbacks, real days, gross tier, 14 days, worst candidate", max(false_gross.values()), 0.01
        )
        self.results.remarks.append(("events one by one, 30 real days", f"{_rate(by_events):.2f} false rollbacks"))

    def shifts(self, scores: FlightScores) -> None:
        """Scores on whole days of real flights: a candidate that stays as it is, and one that breaks as it serves."""
        results, runs = self.results, self.effort.shift
        unchanged: dict[str, float] = {}
        later: dict[str, float] = {}
        for name in scores.candidates:
            if name not in GROSS:
                days_of = shift.shift_days(scores, name)
                null = partial(shift.hours_to_shift, draw=shift.NULL, rng=self.rng, runs=runs)
                unchanged[name] = _rate(null(days_of.since, days_of.since))
                later[name] = _rate(null(days_of.before, days_of.since))
        results.figures["false_shift_rate_by_candidate"] = unchanged
        results.figures["false_shift_rate_other_months_by_candidate"] = later
        results.bar("false shifts, real days, 30 days, worst candidate", max(unchanged.values()), 0.01)
        results.remarks.append(
            ("shifts learnt in June and July, judged in August and September", f"{max(later.values()):.3f} false")
        )
        whole = shift.shift_days(scores, NO_WEATHER)
        for name in GROSS:
            broken = shift.shift_days(scores, name)
            needed = shift.hours_to_shift(whole.before, broken.since, shift.FOUND, self.rng, runs)
            results.stopped("hours_to_shift", name, needed)

    def latency(self) -> None:
        """Times of equal versions as they are, and of one that takes twice as long."""
        results, runs, share = self.results, self.effort.latency, 0.05
        ratios = latency.measured_ratios(share, self.effort.batches)
        needed = partial(latency.batches_to_harm, ratios, rng=self.rng, runs=runs)
        equal = _rate(needed(1.0, latency.LatencyDraw(0, 2_000)))
        results.figures["false_latency_rate"] = equal
        results.bar("false rollbacks for latency, equal versions, 2,000 batches measured here", equal, 0.01)
        at_the_bound = _rate(needed(TOLERATED / float(np.median(ratios)), latency.LatencyDraw(0, 500)))
        results.remarks.append(("as slow as is tolerated, 500 batches", f"{at_the_bound:.3f} rolled back"))
        spread = np.quantile(ratios, [0.05, 0.5, 0.95])
        results.remarks.append(("ratio of equal versions, 5, 50 and 95 %", ", ".join(f"{each:.2f}" for each in spread)))
        for name, before in (("from the first batch on", 0), ("after 2,000 batches of an equal one", 2_000)):
            results.stopped("slow_batches_to_rollback", name, needed(2.0, latency.LatencyDraw(before, 500)))

    def drift(self) -> None:
        """Weeks of the summer: candidates that learnt the champion's months, and ones that learnt something else."""
        results, runs = self.results, self.effort.drift
        summer, learnt = drift.departures_in(drift.SUMMER), drift.learnt_profiles()
        held = partial(drift.weeks_to_hold, share=0.25)
        alike, flights = (learnt[drift.WINTER], learnt[drift.WINTER]), drift.flight_weeks(summer)
        rate = _rate(held(*alike, flights, runs=runs))
        results.figures["false_drift_hold_rate"] = rate
        results.bar("held for drift, equal versions in another season, 14 weeks", rate, 0.01)
        for name, key in drift.FEW_KEYS.items():
            few = _rate(held(*alike, drift.flight_weeks(summer, key), runs=runs // 5))
            results.remarks.append((f"the same where the key is the {name}", f"{few:.2f} held"))
        for champion, candidate in drift.APART:
            needed = held(learnt[champion], learnt[candidate], flights, runs=runs // 5)
            results.stopped("weeks_to_hold", f"{candidate}, against {champion}", needed)

    def _detected(self, worse: days.CandidateDays, scores: FlightScores) -> None:
        loss = worse.difference / float(np.concatenate(worse.champion).mean())
        needed = days.days_to_harm(worse, self.rng, self.effort.days, 120)
        median, late = self.results.stopped("days_to_rollback", f"{worse.name} ({loss:+.1%} log loss)", needed)
        if worse.name == "AUC -.05 by noise":
            self.results.bar(f"real days, {worse.name}: median days", median, 14)
            self.results.bar(f"real days, {worse.name}: p90 days", late, 28)
        if worse.name in GROSS:
            # It breaks where it serves. The backtest saw the candidate whole, and learnt its days.
            whole = days.candidate_days(scores, NO_WEATHER)
            first = self._gross(worse, self._rules(whole), 3)
            _, most = self.results.stopped("gross_events_to_rollback", worse.name, first)
            self.results.bar(f"real days, {worse.name}: p90 labelled events", most, 250)

    def _rules(self, backtested: days.CandidateDays) -> GrossRules:
        return GrossRules(block_deviation=backtested.deviation)

    def _gross(self, candidate: days.CandidateDays, rules: GrossRules, length: int) -> Floats:
        return days.events_to_harm(candidate, rules, self.rng, self.effort.gross, length)


def _rate(needed: Floats) -> float:
    return float(np.mean(needed < math.inf))


def main(quick: bool = False, seed: int = 5) -> None:
    """Draw, judge, print, and write build/bench/guard.json; ends with 1 if a bar is missed."""
    console, began = Console(), time.monotonic()
    scores = flight_scores()
    bench = GuardBench(QUICK if quick else GuardEffort(), np.random.default_rng(seed), GuardResults())
    steps = (
        bench.independent,
        bench.keys,
        lambda: bench.flights(scores),
        lambda: bench.shifts(scores),
        bench.latency,
        bench.drift,
    )
    for step in steps:
        step()
    show(bench.results, console)
    seconds = round(time.monotonic() - began)
    write(bench.results, {"seed": seed, "quick": quick, "seconds": seconds})
    if not quick and not all(bar.passed for bar in bench.results.bars):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
