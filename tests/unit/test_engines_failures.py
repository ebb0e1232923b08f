"""How often a query may fail, and how long it waits."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from streaming.engines.failures import Failures, Restarts
from streaming.errors import BrokerUnavailableError, ScoringError, UpstreamError


@dataclass
class Told:
    """An observer that remembers the pauses."""

    pauses: list[float] = field(default_factory=list)

    def query_started(self) -> None:
        """Nothing to remember."""

    def query_failed(self, problem: str, pause: float) -> None:
        self.pauses.append(pause)


def failures(told: Told, most: int) -> Failures:
    stopping = threading.Event()
    stopping.set()  # nothing waits
    return Failures(Restarts(1.0, most), told, stopping)


def test_pauses_double_up_to_a_minute() -> None:
    reported = Told()
    noted = failures(reported, 9)
    for _ in range(9):
        noted.note(RuntimeError("down"))
    assert reported.pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(
    "problem",
    [
        pytest.param(BrokerUnavailableError("second"), id="ours"),
        pytest.param(RuntimeError("second: org.apache.kafka.common.errors.TimeoutException"), id="of Spark's client"),
        pytest.param(RuntimeError("second: cimpl.KafkaException: KafkaError"), id="of a worker's client"),
    ],
)
def test_a_service_that_is_away_too_often_ends_it_with_the_last_problem(problem: Exception) -> None:
    noted = failures(Told(), 1)
    noted.note(RuntimeError("first"))
    with pytest.raises(UpstreamError, match="failed 2 times in a row; the last time: second"):
        noted.note(problem)


@pytest.mark.parametrize("problem", [ScoringError("no version is left"), RuntimeError("a mistake of ours")])
def test_what_no_service_is_to_blame_for_stays_what_it_is(problem: Exception) -> None:
    noted = failures(Told(), 1)
    noted.note(BrokerUnavailableError("first"))
    with pytest.raises(type(problem)) as caught:
        noted.note(problem)
    assert caught.value is problem


def test_a_finished_batch_begins_the_count_anew() -> None:
    reported = Told()
    noted = failures(reported, 1)
    for _ in range(3):
        noted.note(RuntimeError("down"))
        noted.clear()
    assert reported.pauses == [1, 1, 1]
