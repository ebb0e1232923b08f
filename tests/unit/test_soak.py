"""The soak's judgement: what counts as growing, and how sure one has to be."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.soak.heap import Collected, collections
from benchmarks.soak.slope import DAY, Array, Trend, trend

EVERY, PERIOD, MINUTES = 5.0, 60.0, 15
TIMES = np.arange(0.0, MINUTES * 60, EVERY)
MEAN = 1000.0


def autocorrelated(random: np.random.Generator, likeness: float) -> Array:
    """Noise of standard deviation 1 whose samples 5 s apart correlate by ``likeness``."""
    noise = random.normal(size=len(TIMES)) * math.sqrt(1 - likeness**2)
    noise[0] /= math.sqrt(1 - likeness**2)
    for i in range(1, len(noise)):
        noise[i] += likeness * noise[i - 1]
    return noise


def tenth(mean: float) -> float:
    return 0.1 * mean


def judge(values: Array) -> Trend:
    return trend((TIMES.tolist(), values.tolist()), PERIOD, tenth)


@pytest.mark.parametrize("growth", [-0.5, 0.0, 0.02, 3.0])
def test_a_straight_line_is_found_exactly(growth: float) -> None:
    result = judge(MEAN + growth * MEAN / DAY * (TIMES - TIMES.mean()))
    assert result.share(result.slope) == pytest.approx(growth, abs=1e-6)
    assert result.margin == pytest.approx(0, abs=1)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        pytest.param(lambda _: np.full(len(TIMES), MEAN), "flat", id="constant"),
        pytest.param(lambda _: np.zeros(len(TIMES)), "flat", id="always nothing"),
        pytest.param(lambda noise: MEAN + 0.01 * noise, "flat", id="quiet"),
        pytest.param(lambda _: MEAN + 50 * ((TIMES % PERIOD) < 20), "flat", id="up and down with every swap"),
        pytest.param(lambda noise: MEAN + 20 * noise, "not resolved", id="noise that hides a leak"),
        pytest.param(lambda noise: MEAN + 0.5 * (TIMES // PERIOD) + 0.01 * noise, "growing", id="a leak at every swap"),
        pytest.param(lambda noise: MEAN - TIMES / 60 + 0.01 * noise, "flat", id="shrinking"),
    ],
)
def test_verdict(values: Callable[[Array], Array], verdict: str) -> None:
    assert judge(values(np.random.default_rng(3).normal(size=len(TIMES)))).verdict == verdict


@pytest.mark.parametrize(("likeness", "swing"), [(0.0, 0.0), (0.0, 3.0), (0.8, 0.0), (0.8, 3.0), (0.95, 0.0)], ids=str)
def test_the_upper_bound_holds_also_for_samples_that_are_alike(likeness: float, swing: float) -> None:
    """Without the correction for likeness, 0.95 would hold in 83 of 100 runs; without period means a swing ruins it."""
    random, runs = np.random.default_rng(5), 400
    sawtooth = swing * (TIMES % PERIOD) / PERIOD
    result = (judge(MEAN + autocorrelated(random, likeness) + sawtooth) for _ in range(runs))
    held = sum(trend.slope + trend.margin >= 0 for trend in result)
    assert 0.89 <= held / runs <= 0.99


def test_what_stands_for_a_period_is_what_is_judged() -> None:
    """Samples during work stand out, more and more; what is there in between does not grow."""
    values = MEAN + (np.arange(len(TIMES)) % 3) * TIMES
    assert judge(values).verdict == "growing"
    lowest = trend((TIMES.tolist(), values.tolist()), PERIOD, tenth, np.min)
    assert (lowest.mean, lowest.verdict) == (MEAN, "flat")


def test_too_few_periods_say_nothing() -> None:
    result = trend(([0.0, 60.0, 120.0], [1.0, 1.0, 1.0]), PERIOD, tenth)
    assert result.verdict == "not resolved"
    assert result.minutes_needed == math.inf


def test_no_samples_at_all_say_nothing() -> None:
    assert trend(([], []), PERIOD, tenth).verdict == "not resolved"


def test_the_minutes_needed_are_those_in_which_the_bound_gets_there() -> None:
    result = Trend(MEAN, slope=20, margin=640, minutes=10, limit=100)
    assert result.minutes_needed == pytest.approx(40)  # the margin has to shrink from 640 to 80: by 8, 4 to the 1.5


LOG = """\
[1000ms] GC(7) PSYoungGen: 7018K(7168K)->2K(7168K) Eden: 7018K(7168K)->0K(7168K) From: 0K(0K)->2K(7168K)
[1000ms] GC(7) ParOldGen: 8961K(44032K)->90000K(44032K)
[1000ms] GC(7) Metaspace: 5000K(5184K)->5000K(5184K) NonClass: 4500K(4600K)->4500K(4600K) Class: 500K(584K)->500K(584K)
[1000ms] GC(7) Pause Young (Allocation Failure) 15M->15M(57M) 5.582ms
[6100ms] GC(8) PSYoungGen: 9866K(14336K)->28K(14336K) Eden: 3465K(7168K)->28K(7168K) From: 6400K(7168K)->0K(7168K)
[6100ms] GC(8) ParOldGen: 400000K(600000K)->70000K(600000K)
[6100ms] GC(8) Metaspace: 5000K(5184K)->4000K(5184K) NonClass: 4500K(4600K)->3500K(4600K) Class: 500K(584K)->500K(584K)
[6100ms] GC(8) Pause Full (System.gc()) 400M->68M(600M) 100.0ms
"""


def test_only_full_collections_count_and_only_what_they_left(tmp_path: Path) -> None:
    log = tmp_path / "gc.log"
    log.write_text(LOG)
    assert list(collections(log)) == [Collected(6.1, 70_028 * 1024, 4_000 * 1024)]
