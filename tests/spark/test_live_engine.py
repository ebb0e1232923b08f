"""The live engine without a query: it gives up, and it counts for a rollout what its boundaries say."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from pyspark.errors import PySparkException

from streaming.clock import system_clock
from streaming.delivery.marks import Writer
from streaming.delivery.outcome import ArmOutcome
from streaming.engines.arms import CandidateArms
from streaming.engines.failures import Failures, Restarts
from streaming.engines.generation import Generation
from streaming.engines.live import LiveEngine
from streaming.engines.live_arms import LiveVersions
from streaming.engines.live_marks import LiveMarks
from streaming.engines.live_ports import LivePorts
from streaming.engines.real_time import Boundary, outcome_of
from streaming.ledger.arms import PlannedArms
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelVersion
from streaming.models.slot import Slot
from streaming.offsets import OffsetRange
from streaming.outputs.weights import WeightEpoch
from tests.support.engine import NEVER
from tests.unit.test_engines_failures import Told
from tests.unit.test_models_slot import served

CANDIDATE_VERSION = ModelVersion("flights", 2)


class NeverStarts:
    """Starts no query, whatever it is asked."""

    def start(self, starting: Mapping[int, int]) -> Generation:
        raise PySparkException("no plan")


def test_a_query_that_fails_without_a_record_is_given_up_and_not_tried_for_ever() -> None:
    reported = Told()
    marks = {0: 7, 1: 7}
    unused = cast(Any, None)
    ports = LivePorts(
        generations=cast(Any, NeverStarts()),
        versions=serving(),
        roll_back=unused,
        ledger=unused,
        mend=unused,
        settle=lambda: marks,
        ends=lambda: marks,
        watch=unused,
        observer=cast(Any, reported),
        breaker=NEVER,
        clock=system_clock,
    )
    engine = LiveEngine(
        ports, Writer("app", "features", "id", 1), Failures(Restarts(0.01, 3), reported, _never()), _never()
    )
    with pytest.raises(PySparkException, match="no plan"):  # and not exit code 4: no service is to blame
        engine.run()
    assert reported.pauses == [0.01, 0.02, 0.04]


class Written:
    """A ledger that keeps what it is told of arms."""

    def __init__(self) -> None:
        self.arms: list[Mapping[str, ArmOutcome] | None] = []

    def record_plan(self, plan: Plan) -> None:
        """Whatever it is."""

    def record_outcome(self, *record: Any) -> None:
        self.arms.append(record[3])


class Deaf:
    """Hears nothing of boundaries."""

    def batch_finished(self, report: Any) -> None:
        """Nobody asks."""

    idle = batch_finished


def boundary(start: int, end: int, events: int) -> Boundary:
    counted = {"champion.predictions": events}
    return Boundary(
        batch=1,
        ranges={0: OffsetRange(start, end)},
        rows=events,
        outcome=outcome_of(counted),
        seconds=1,
        phases={},
        lag={},
    )


def test_what_two_generations_answered_counts_for_a_rollout_once() -> None:
    unused, written = cast(Any, None), Written()
    ports = LivePorts(
        generations=unused,
        versions=serving(),
        roll_back=unused,
        ledger=cast(Any, written),
        mend=unused,
        settle=lambda: {0: 100},
        ends=lambda: {0: 500},
        watch=unused,
        observer=cast(Any, Deaf()),
        breaker=NEVER,
        clock=system_clock,
    )
    marks = LiveMarks(ports, Writer("app", "features", "id", 1))
    marks.settle()
    step = replace(PlannedArms.only(CANDIDATE_VERSION), weights=WeightEpoch("flights-2", 1))
    marks.advance(step, "older", boundary(100, 150, 50))
    # It began at the marks before, when the older one had answered some of it.
    marks.advance(step, "younger", boundary(100, 200, 100))
    marks.advance(step, "younger", boundary(200, 210, 10))
    marks.advance(PlannedArms.only(CANDIDATE_VERSION), "youngest", boundary(210, 220, 10))
    counts = [None if arms is None else {role: arm.events for role, arm in arms.items()} for arms in written.arms]
    assert counts == [{"champion": 50}, {}, {"champion": 10}, None]
    assert marks.offsets == {0: 220}


def serving() -> LiveVersions:
    """A job that serves a version, without a candidate."""
    slot = Slot()
    slot.swap(served(1))
    return LiveVersions(slot, CandidateArms(lambda model: None))


def _never() -> threading.Event:
    return threading.Event()
