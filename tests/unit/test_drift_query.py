"""How the drift job ends when its query cannot be kept running: 4 is for services alone."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from streaming.clock import system_clock
from streaming.drift.frames import Watched
from streaming.drift.monitor import Monitor
from streaming.drift.query import DriftPorts, DriftQuery, DriftStream
from streaming.engines.failures import Restarts
from streaming.errors import (
    BrokerUnavailableError,
    ConfigurationError,
    DataError,
    ModelNotFoundError,
    PenstockError,
    UpstreamError,
)
from streaming.operations.drift_metrics import DriftMetrics


class Failing:
    """A monitor that cannot restore what it knew."""

    batch = 0

    def __init__(self, problem: Exception) -> None:
        self.problem = problem
        self.tries = 0

    def restore(self, _now: int) -> None:
        self.tries += 1
        raise self.problem


def ended(problem: Exception, kind: type[Exception]) -> int:
    """Return how often the query was started before the job ended with an error of this kind."""
    monitor = Failing(problem)
    stream = DriftStream("drift", {}, Watched("app", "flights", "out", "dlq"), checkpoint="", tile_ms=1)
    ports = DriftPorts(cast(Any, None), system_clock, DriftMetrics())
    with pytest.raises(kind, match=str(problem)) as caught:
        DriftQuery(stream, cast(Monitor, monitor), ports, Restarts(pause=0.01, most=2)).run(threading.Event())
    assert type(caught.value) is kind
    return monitor.tries


@pytest.mark.parametrize("kind", [ConfigurationError, DataError, ModelNotFoundError, PenstockError])
def test_an_error_of_our_own_ends_it_at_once_with_its_own_code(kind: type[PenstockError]) -> None:
    assert ended(kind("what it is"), kind) == 1


def test_a_service_that_is_away_is_tried_again_and_then_ends_it_with_4() -> None:
    assert ended(BrokerUnavailableError("no answer"), UpstreamError) == 3
    assert UpstreamError.exit_code == 4


def test_an_unexpected_error_is_tried_again_and_then_stays_what_it_is() -> None:
    assert ended(OSError("state"), OSError) == 3
