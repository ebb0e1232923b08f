"""How batches are planned: as the settings say, and without Spark's internals where these have moved."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from jobs.wiring.planning import planning_for
from streaming.clock import system_clock
from streaming.models.slot import Slot
from streaming.operations.health import Health
from streaming.settings import EngineSettings
from streaming.spark.symbols import NEEDED_BY_KEPT, NEEDED_BY_LIVE, SYMBOLS, Moved

_COPY = Moved("kept_plan", "org.apache.spark.sql.execution.RDDScanExec", "copy(Seq): RDDScanExec", ())
_CLOCK = Moved("triggers", "org.apache.spark.util.ManualClock", "", None)


def unasked() -> Sequence[Moved]:
    raise AssertionError("the internals do not matter")


@pytest.fixture
def health() -> Health:
    return Health(Slot(), system_clock)


@pytest.mark.parametrize("plan", ["kept", "fresh"])
def test_a_way_that_was_chosen_is_taken_whatever_spark_has_inside(plan: str, health: Health) -> None:
    assert planning_for(EngineSettings.model_validate({"plan": plan}), unasked, health) == plan
    assert health.ready().notes == ()


def test_plans_are_kept_where_nothing_has_moved(health: Health) -> None:
    assert planning_for(EngineSettings(), list, health) == "kept"
    assert health.ready().notes == ()


def test_the_live_engine_keeps_no_plans_and_asks_for_nothing(health: Health) -> None:
    assert planning_for(EngineSettings(kind="live"), unasked, health) == "kept"


@pytest.mark.parametrize(
    ("symbols", "ending"),
    [
        pytest.param([_CLOCK], "triggers: there is no org.apache.spark.util.ManualClock", id="one"),
        pytest.param([_COPY, _CLOCK, _CLOCK], "has no copy(Seq): RDDScanExec and 2 more", id="several"),
    ],
)
def test_batches_are_planned_anew_where_something_has_moved_and_health_says_so(
    symbols: list[Moved], ending: str, health: Health
) -> None:
    assert planning_for(EngineSettings(), lambda: symbols, health) == "fresh"
    (note,) = health.ready().notes
    assert note.startswith("each batch is planned anew, which is slower (engine.plan fresh)")
    assert note.endswith(ending)


def test_each_module_with_private_symbols_is_needed_by_somebody() -> None:
    assert {"kept_plan", "query_run", "batches", "triggers", "tried"} <= set(NEEDED_BY_KEPT)
    assert set(NEEDED_BY_LIVE) <= set(SYMBOLS) - set(NEEDED_BY_KEPT)
