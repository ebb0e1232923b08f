"""The exported numbers, as Prometheus' own parser reads them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streaming.delivery.outcome import ArmOutcome
from streaming.models.ref import ModelVersion
from streaming.models.served import ScorerChoice
from streaming.models.slot import Slot
from streaming.operations.health import Health
from streaming.operations.metrics import Metrics
from streaming.operations.observer import JobObserver
from streaming.testing import ManualClock
from tests.unit.test_models_slot import served


@dataclass(frozen=True)
class Rows:
    predictions: int = 0
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    transactions: int = 0
    fenced: int = 0
    ages: Sequence[int] = (0, 0, 0)
    age_sum: float = 0.0
    arms: Mapping[str, ArmOutcome] = field(default_factory=dict)
    degraded: Mapping[str, int] = field(default_factory=dict)
    lookups: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    outcome: Rows
    batch: int = 1
    version: ModelVersion = ModelVersion("flights", 1)  # noqa: RUF009 - frozen
    rows_in: int = 0
    phases: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.1


class Board:
    """Metrics with a clock, and a reader for them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics(self.clock, (0.1, 1.0))

    def read(self, name: str, /, **labels: str) -> float | None:
        families = text_string_to_metric_families(self.metrics.text().decode())
        result = [s.value for family in families for s in family.samples if s.name == name and s.labels == labels]
        assert len(result) <= 1
        return result[0] if result else None


@pytest.fixture
def board() -> Board:
    return Board()


def test_a_batch_is_counted_by_outcome_and_reason(board: Board) -> None:
    for _ in range(2):
        board.metrics.batch_finished(
            Batch(Rows(90, {"MALFORMED_JSON": 3, "NON_FINITE": 1}, 5, transactions=2, fenced=1), phases={"write": 0.04})
        )
    assert board.read("penstock_records_total", outcome="prediction") == 180
    assert board.read("penstock_records_total", outcome="dead_letter") == 8
    assert board.read("penstock_records_total", outcome="skipped") == 10
    assert board.read("penstock_dead_letters_total", reason="MALFORMED_JSON") == 6
    assert board.read("penstock_transactions_total", outcome="committed") == 4
    assert board.read("penstock_transactions_total", outcome="fenced") == 2
    assert board.read("penstock_batch_duration_seconds_sum", phase="write") == pytest.approx(0.08)
    assert board.read("penstock_batch_duration_seconds_count", phase="total") == 2
    assert board.read("penstock_last_batch_timestamp_seconds") == board.clock().timestamp()


def test_latencies_counted_by_the_workers_add_up_to_a_histogram(board: Board) -> None:
    board.metrics.batch_finished(Batch(Rows(ages=(5, 3, 2), age_sum=9.5)))
    board.metrics.batch_finished(Batch(Rows(ages=(1, 0, 0), age_sum=0.05)))
    name = "penstock_end_to_end_latency_seconds"
    assert [board.read(f"{name}_bucket", le=bound) for bound in ("0.1", "1.0", "+Inf")] == [6, 9, 11]
    assert board.read(f"{name}_count") == 11
    assert board.read(f"{name}_sum") == pytest.approx(9.55)


def test_counters_that_matter_stand_at_zero_from_the_beginning(board: Board) -> None:
    assert board.read("penstock_records_total", outcome="prediction") == 0
    assert board.read("penstock_batch_invariant_violations_total") == 0
    assert board.read("penstock_query_restarts_total") == 0
    assert board.read("penstock_model_swaps_total", result="refused") == 0


def test_a_lost_selector_shows_until_it_names_a_version_again(board: Board) -> None:
    seen = []
    for resolved in (True, False, True):
        board.metrics.selector_resolved(resolved=resolved)
        seen.append(board.read("penstock_model_selector_resolved"))
    assert seen == [1, 0, 1]


def test_the_seconds_of_searches_add_up(board: Board) -> None:
    JobObserver(board.metrics, Health(Slot(), board.clock)).rows_searched(1.5)
    board.metrics.rows_searched(2.0)
    assert board.read("penstock_row_search_seconds_total") == 3.5


def test_what_the_documentation_says_to_watch_is_exported(board: Board, root: Path) -> None:
    watched = set(re.findall(r"penstock_[a-z_]+", (root / "docs" / "operating.md").read_text()))
    families = board.metrics.registry.collect()
    exported = {f"{family.name}{'_total' if family.type == 'counter' else ''}" for family in families}
    assert len(watched) > 6
    assert watched <= exported


def test_what_scores_the_serving_version_is_exported(board: Board) -> None:
    board.metrics.model_swapped(replace(served(1), choice=ScorerChoice("compiled", "its answers are Spark's")), 1.5)
    assert board.read("penstock_model_scorer", kind="compiled") == 1

    board.metrics.model_rolled_back(served(2))

    assert board.read("penstock_model_scorer", kind="spark") == 1
    assert board.read("penstock_model_scorer", kind="compiled") is None


def test_only_the_serving_version_has_an_info_line(board: Board) -> None:
    for version in (1, 2):
        board.metrics.model_swapped(served(version), 1.5)
    digest = "0" * 64
    assert board.read("penstock_model_info", name="flights", version="2", run_id="", digest=digest) == 1
    assert board.read("penstock_model_info", name="flights", version="1", run_id="", digest=digest) is None
    assert board.read("penstock_model_swaps_total", result="promoted") == 2
    assert board.read("penstock_model_load_seconds_sum") == 3.0


def test_a_rollback_and_a_refusal_are_swaps_with_other_results(board: Board) -> None:
    board.metrics.model_rolled_back(served(1))
    board.metrics.model_refused("NEEDS_CODE")
    assert board.read("penstock_model_swaps_total", result="rolled_back") == 1
    assert board.read("penstock_model_swaps_total", result="refused") == 1
    assert board.read("penstock_model_refusals_total", reason="NEEDS_CODE") == 1


def test_a_model_s_age_counts_from_its_registration(board: Board) -> None:
    age = board.read("penstock_model_age_seconds")
    assert age is not None
    assert math.isnan(age)
    version = ModelVersion("flights", 1, created_ms=int(board.clock().timestamp() * 1000))
    board.metrics._version = version
    board.clock.advance(90)
    assert board.read("penstock_model_age_seconds") == 90


def test_lag_is_set_by_partition_and_falls_to_nothing_when_idle(board: Board) -> None:
    board.metrics.lag_measured("features", {0: 7, 1: 0})
    assert board.read("penstock_consumer_lag_records", topic="features", partition="0") == 7
    board.metrics.caught_up()
    assert board.read("penstock_consumer_lag_records", topic="features", partition="0") == 0


def test_the_registry_s_silence_shows(board: Board) -> None:
    board.metrics.registry_answered(up=True)
    assert board.read("penstock_registry_up") == 1
    board.metrics.registry_answered(up=False)
    assert board.read("penstock_registry_up") == 0


def test_two_jobs_in_one_process_do_not_meet() -> None:
    first, second = Board(), Board()
    first.metrics.query_restarted()
    assert first.read("penstock_query_restarts_total") == 1
    assert second.read("penstock_query_restarts_total") == 0
