"""How often a query may fail, and how long it waits."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from streaming.engines.failures import Failures, Restarts
from streaming.errors import UpstreamError


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
    told = Told()
    noted = failures(told, 9)
    for _ in range(9):
        noted.note(RuntimeError("down"))
    assert told.pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_too_many_in_a_row_end_it_with_the_last_problem() -> None:
    noted = failures(Told(), 1)
    noted.note(RuntimeError("first"))
    with pytest.raises(UpstreamError, match="failed 2 times in a row; the last time: second"):
        noted.note(RuntimeError("second"))


def test_a_finished_batch_begins_the_count_anew() -> None:
    told = Told()
    noted = failures(told, 1)
    for _ in range(3):
        noted.note(RuntimeError("down"))
        noted.clear()
    assert told.pauses == [1, 1, 1]
