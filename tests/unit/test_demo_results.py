from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jobs.demo.report import show, write_summary
from jobs.demo.results import Label, Latency, Results, Seen, Swap, latencies, quality
from streaming.accounting.account import Account
from streaming.drift.report.facts import Report

NOON = datetime(2013, 7, 31, 12, tzinfo=timezone.utc)


def seen(position: tuple[int, int], version: int = 1, read_at: float = 0.0, **other: object) -> Seen:
    prediction, probability = (float(str(other.get(name, 0.0))) for name in ("prediction", "probability"))
    return Seen(position, read_at, version, str(other.get("event_id", "e")), prediction, probability)


def test_latency_leaves_out_the_first_seconds_and_shows_training_apart() -> None:
    published = {(0, offset): float(offset) for offset in range(100)}
    predictions = [seen(position, read_at=sent + (5 if 50 <= sent < 60 else 1)) for position, sent in published.items()]
    steady, training = latencies(published, predictions, (54.0, 65.0))
    assert (steady.count, steady.p50, steady.p99) == (85 - training.count, 1.0, 1.0)
    assert training.count == 10 + 5  # read between 54 and 65: sent at 50 to 59, and at 60 to 64
    assert training.p99 == 5.0


@pytest.mark.parametrize(
    ("known_at", "labelled"),
    [pytest.param(NOON, 2, id="landed"), pytest.param(NOON + timedelta(minutes=1), 0, id="still flying")],
)
def test_accuracy_uses_the_labels_that_have_arrived(known_at: datetime, labelled: int) -> None:
    labels = {"a": Label(True, known_at), "b": Label(False, known_at)}
    predictions = [seen((0, i), event_id=name, prediction=0.0) for i, name in enumerate(["a", "b", "cancelled"])]
    result = quality(predictions, labels, NOON)[1]
    assert (result.predictions, result.labelled) == (3, labelled)
    expected = 0.5 if labelled else float("nan")
    assert (result.accuracy, result.baseline) == pytest.approx((expected, expected), nan_ok=True)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.2, 0.3, 0.4])), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_ranked_rightly_with_ties_counted_half(rows: list[tuple[bool, float]]) -> None:
    labels = {str(i): Label(late, NOON) for i, (late, _) in enumerate(rows)}
    predictions = [seen((0, i), event_id=str(i), probability=score) for i, (_, score) in enumerate(rows)]
    late, other = [s for y, s in rows if y], [s for y, s in rows if not y]
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in late for b in other]
    expected = sum(pairs) / len(pairs) if pairs else float("nan")
    assert quality(predictions, labels, NOON)[1].auc == pytest.approx(expected, nan_ok=True)


def results(dead: list[tuple[int, int]]) -> Results:
    account = Account.of([(0, 0), (0, 1), (0, 2)], [(0, 0), (0, 1)], dead)
    swap = Swap(1, 2, 2.5, 1_600, 0.0)
    versions = quality([seen((0, 0)), seen((0, 1), 2)], {"e": Label(False, NOON)}, NOON)
    nothing = Latency(0, float("nan"), float("nan"))
    return Results(account, {"TOMBSTONE": len(dead)}, 1_590.0, Latency(2, 0.5, 1.0), nothing, swap, versions, 120.0)


def test_the_summary_is_json_with_the_agreed_names(tmp_path: Path) -> None:
    write_summary(results([(0, 2)]), Report("app", "flights", ()), tmp_path / "demo" / "summary.json")
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text(), parse_constant=pytest.fail)
    expected = {"events_in": 3, "predictions": 2, "dead_letters": 1, "missing": 0, "duplicates": 0}
    assert expected.items() <= summary.items()
    assert (summary["swap_from"], summary["swap_to"], summary["swap_seconds"]) == (1, 2, 2.5)
    assert {version: part["predictions"] for version, part in summary["versions"].items()} == {"1": 1, "2": 1}


@pytest.mark.parametrize(
    ("dead", "verdict"),
    [
        pytest.param([(0, 2)], "Missing 0, duplicates 0: every event", id="balanced"),
        pytest.param([], "Missing 1, duplicates 0: NOT", id="one lost"),
    ],
)
def test_the_report_says_plainly_whether_the_account_balances(dead: list[tuple[int, int]], verdict: str) -> None:
    console = Console(width=200, record=True)
    show(results(dead), console)
    text = console.export_text()
    assert verdict in text
    assert "from v1 to v2 while 1,600 events/s came in" in text
