"""What the latency benchmark makes of its runs: medians with ranges, the two files of numbers, the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.latency.page import Measured, write_page
from benchmarks.latency.stats import percentiles_ms
from benchmarks.latency.summary import Raw, Spread, live_numbers, peer_numbers, summarise


def run(system: str, number: int, p50_ms: float, *, eps: float | None = 9_000.0, problem: str | None = None) -> Raw:
    latencies = np.random.default_rng(number).lognormal(np.log(p50_ms * 1e6), 0.5, 4_000).astype(np.int64)
    load: dict[str, Any] = {
        "kind": "load",
        "rate": 1_000,
        "seconds": 4.0,
        "latency_ms": percentiles_ms(latencies),
        "windows": [percentiles_ms(latencies)],
        "duplicates": number,
        "cores": 0.5 * number,
        "rss_bytes": 10**9,
        "silence_ms": 12.0,
        "latencies_us": (latencies // 1_000).tolist(),
    }
    return {
        "system": system,
        "version": "product 1.2",
        "delivery": "at-least-once",
        "number": number,
        "partitions": 2,
        "stages": [{"kind": "drain", "eps": eps, "payload_bytes": 298.4}, load],
        "problems": [problem] if problem else [],
    }


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=9))
def test_a_median_lies_between_the_lowest_and_the_highest(values: list[float]) -> None:
    spread = Spread.of([None, *values, None])
    assert spread is not None
    assert spread.low == min(values) <= spread.median <= max(values) == spread.high


def test_runs_that_do_not_count_are_told_and_left_out() -> None:
    [summary] = summarise([run("a", 1, 2.0), run("a", 2, 900.0, problem="3 events have no output"), run("a", 3, 2.0)])
    assert summary.problems == ["run 2: 3 events have no output"]
    p50 = summary.latency(1_000, "p50")
    assert p50 is not None
    assert p50.high < 10.0
    assert live_numbers(summary, 1_000)["duplicates"] == 4


def test_a_system_without_a_run_that_counts_has_no_numbers() -> None:
    [summary] = summarise([run("quix", 1, 2.0, problem="ended with code 1")])
    peer = peer_numbers(summary, 1_000)
    assert (peer["eps"], peer["p50_ms"], peer["p99_ms"], peer["runs"]) == (None, None, None, 0)
    assert peer["invalid"] == ["run 1: ended with code 1"]


@pytest.mark.parametrize(
    ("name", "key"), [("penstock-live", "live"), ("penstock-exact", "exact"), ("spark-default", "spark_default")]
)
def test_live_json_names_systems_as_the_issue_does(name: str, key: str) -> None:
    [summary] = summarise([run(name, 1, 2.0)])
    assert summary.key == key
    assert {"p50", "p99", "p999"} <= set(live_numbers(summary, 1_000))


def test_the_page_shows_every_system_and_its_plots_stand_alone(tmp_path: Path) -> None:
    raws = [
        run(name, number, p50)
        for name, p50 in (("penstock-live", 0.6), ("spark-default", 250.0), ("quix <i>", 4.0))
        for number in (1, 2, 3)
    ]
    raws.append(run("silent", 1, 1.0, eps=None, problem="ended with code 3"))
    swap = {"swap_silence_ms": 80.0, "swap_duplicates": 1_085, "swap_lost": 0, "swap_latencies_us": [700] * 3_000}
    measured = Measured(summarise(raws), 1_000, {"cores": "2"}, "flights", swap)
    html = write_page(measured, tmp_path).read_text()
    assert all(text in html for text in ("penstock-live", "spark-default", "quix &lt;i&gt;", "silent, run 1: ended"))
    assert "298 bytes of JSON" in html
    plots = sorted(path.name for path in tmp_path.glob("*.svg"))
    assert plots == [
        "live-over-time.svg",
        "p50-1000.svg",
        "p99-1000.svg",
        "percentiles-1000.svg",
        "swap-over-time.svg",
        "throughput.svg",
    ]
    for plot in plots:
        assert ElementTree.parse(tmp_path / plot).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_a_benchmark_in_which_nothing_counts_still_has_a_page_that_says_why(tmp_path: Path) -> None:
    systems = summarise([run("quix", 1, 1.0, problem="ended with code 3")])
    assert "quix, run 1: ended with code 3" in write_page(Measured(systems, 1_000, {}, "", {}), tmp_path).read_text()
