"""Requests that leave the loop for the thread: whatever their way there, they do not wait longer than they may."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streaming.errors import ScoringError
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.serving.lanes import Lane
from streaming.serving.problems import ProblemError
from tests.support.servers import flight_package, loaded


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    slot = Slot()
    slot.swap(loaded(flight_package(tmp_path)))
    return slot


def leaves_since(asked: int) -> Callable[[ServedModel], bool]:
    """Return what says from its so-manieth question on that versions score in the thread."""
    questions = iter(range(10_000))
    return lambda _: next(questions) >= asked


@pytest.mark.parametrize("leaves_since_question", [0, 1, 10_000], ids=["at once", "when its pass begins", "to search"])
def test_a_request_whose_scoring_hangs_in_the_thread_is_answered_in_time(
    slot: Slot, leaves_since_question: int
) -> None:
    gate = threading.Event()
    loop_thread = threading.current_thread()

    def score(values: Sequence[bytes]) -> list[bytes]:
        if threading.current_thread() is loop_thread:
            raise ScoringError("the model throws")
        gate.wait(30)
        return list(values)

    with ThreadPoolExecutor(1) as thread:
        lane = Lane(slot, lambda _: score, thread, 0.2, leaves_since(leaves_since_question))
        try:
            with pytest.raises(ProblemError, match=r"not scored within 0\.2 s") as problem:
                asyncio.run(lane.score([b"first", b"second"]))
            assert problem.value.status == 503
        finally:
            gate.set()
