"""The guard's benchmark on a small seed: its simulations by the product's functions, and how a missed bar is told."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.guard import arms, drift, exchangeable, latency, report, shift
from benchmarks.guard.days import CandidateDays, days_to_harm, events_to_harm
from benchmarks.guard.report import GuardResults
from streaming.rollout.gross_harm import GrossRules

POPULATION = 20_000


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchangeable, "_POPULATION", POPULATION)


def alike_days(mean: float, seed: int, number: int = 60) -> CandidateDays:
    """Days of 300 events whose differences have a part that all events of the day share."""
    random = np.random.default_rng(seed)
    champion = [random.exponential(0.5, 300) for _ in range(number)]
    shared = random.normal(mean, 0.02, number)
    candidate = [losses + day + random.normal(0, 0.15, 300) for losses, day in zip(champion, shared, strict=True)]
    return CandidateDays("made up", champion, candidate, 0.02)


def test_equal_versions_are_seldom_called_harmful_and_a_worse_one_is_found_within_some_kappas() -> None:
    random = np.random.default_rng(31)
    assert exchangeable.false_alarms(exchangeable.equal_versions(random), random, 60) <= 3
    world = exchangeable.worlds(random)[0]
    needed = exchangeable.stopping_events(world, random, 40, 25)
    # The bar of the benchmark is 10; on so few runs the median of equal luck lies below 14.
    assert np.median(needed) <= 14 * world.kappa
    assert world.unpaired_kappa > 8 * world.kappa


def test_days_that_are_alike_deceive_a_test_of_events_and_not_one_of_days() -> None:
    random, null = np.random.default_rng(32), alike_days(0.0, 33).equal()
    by_events = events_to_harm(null, GrossRules(alpha=0.01, share=0.0), random, 40, 30)
    assert np.mean(by_events < math.inf) > 0.3
    assert np.mean(days_to_harm(null, random, 100, 30) < math.inf) <= 0.03
    assert (
        np.mean(events_to_harm(null, GrossRules(alpha=0.01, block_deviation=0.02), random, 40, 14) < math.inf) <= 0.05
    )
    assert null.design_effect() > 4


def test_harm_is_found_on_days_and_gross_harm_on_events() -> None:
    random = np.random.default_rng(34)
    assert np.median(days_to_harm(alike_days(0.02, 35), random, 50, 60)) <= 25
    assert (
        np.max(events_to_harm(alike_days(0.4, 36), GrossRules(alpha=0.01, block_deviation=0.02), random, 20, 2)) <= 250
    )


def shifted_days(random: np.random.Generator, moved: float = 0.0, number: int = 40) -> list[shift.ShiftedDay]:
    """Days of 960 events whose shifts have a part that all events of the day share."""
    return [
        shift.ShiftedDay(np.repeat(np.arange(24), 40), random.normal(day + moved, 0.1, 960))
        for day in random.normal(0.05, 0.02, number)
    ]


def test_scores_that_stay_as_they_were_are_seldom_called_shifted_and_broken_ones_within_a_day() -> None:
    random = np.random.default_rng(38)
    days = shifted_days(random)
    draw = shift.ShiftDraw(shadow=5, serving=5, share=0.5)
    assert np.mean(shift.hours_to_shift(days, days, draw, random, 40) < math.inf) <= 0.05
    broken = shifted_days(random, moved=0.3)
    assert np.quantile(shift.hours_to_shift(days, broken, draw, random, 40), 0.9) <= 24


def test_equal_versions_are_not_called_slow_and_one_that_takes_twice_as_long_is_soon_found() -> None:
    random = np.random.default_rng(44)
    ratios = latency.measured_ratios(0.25, 30)
    assert len(ratios) == 30
    # Measured ones are of this machine's moment; those that are judged are made up.
    noisy = random.lognormal(0.0, 0.3, 400)
    assert np.mean(latency.batches_to_harm(noisy, 1.0, latency.LatencyDraw(0, 400), random, 20) < math.inf) == 0
    for before in (0, 300):
        needed = latency.batches_to_harm(noisy, 2.0, latency.LatencyDraw(before, 200), random, 20)
        assert np.quantile(needed, 0.9) <= 150


def made_up_weeks(weeks: range, warmer: float = 0.0) -> drift.FlightWeeks:
    """Weeks of 4,000 flights of 500 aircraft, each a little warmer than the one before."""
    random, week = np.random.default_rng(45), np.repeat(weeks, 4_000)
    columns = {
        "temp": random.normal(warmer + week / 4, 5.0),
        "carrier": random.choice(["AA", "UA", "XX"], len(week)),
    }
    return drift.FlightWeeks(week, random.integers(0, 500, len(week)), columns)


def test_equal_versions_are_not_held_in_another_season_and_one_that_learnt_other_units_is() -> None:
    answered = made_up_weeks(range(30, 35))
    profile, other = (drift.learnt(made_up_weeks(range(9), warmer)) for warmer in (0.0, -20.0))
    assert drift.weeks_to_hold(profile, profile, answered, 0.25, 3).tolist() == [math.inf] * 3
    assert drift.weeks_to_hold(profile, other, answered, 0.25, 3).tolist() == [2.0] * 3
    assert drift.weeks_to_hold(other, profile, answered, 0.25, 3).tolist() == [math.inf] * 3, "the candidate is nearer"


def test_errors_are_counted_once_a_key_and_keys_leave_the_champion_alone() -> None:
    random = np.random.default_rng(37)
    needed = arms.canary_events(arms.ErrorRates(base=0.001, ratio=10, share=0.05), random, 60)
    assert np.median(needed) <= 700
    by_key, by_event = arms.burst_alarms(random, 40)
    assert by_key <= 2
    assert by_event > 8
    assert arms.changing_alarms(random, 40) <= 2
    assert max(arms.failing_events(share) for share in (0.01, 0.05, 0.25, 0.5)) <= 15
    moved, back = arms.moved_keys(random, 5_000)
    assert moved == pytest.approx(0.2, abs=0.02)
    assert back == 0


def test_a_bar_that_is_missed_is_told_with_its_figure_and_never_as_a_number_that_json_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "TARGET", tmp_path / "guard.json")
    results, console = GuardResults(), Console(file=io.StringIO(), width=120)
    assert results.stopped("days_to_rollback", "a", np.array([3.0, 5.0, math.inf])) == (5.0, math.inf)
    results.bar("median", 5.0, 14)
    results.bar("p90", math.inf, 28)
    results.bar("ratio", 7.0, 8, least=True)
    report.show(results, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split()[-1] for line in lines[1:4]] == ["kept", "missed", "missed"]
    report.write(results, {"seed": 1})
    data = json.loads((tmp_path / "guard.json").read_text())
    assert data["p90_days_to_rollback"] == {"a": None}
    assert [bar["passed"] for bar in data["bars"]] == [True, False, False]
    assert data["by"] == report.BY
