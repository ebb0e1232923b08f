"""Being asked to stop: the first request asks, the second signal ends the process, and so does the bound."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from jobs.process.stopping import StopRequest, children_ignore_signals
from tests.support.commands import environment

PATIENCE = 30.0


class Process:
    """A request in this process, whose end is only noted."""

    def __init__(self, seconds: float | None) -> None:
        self.ended: queue.Queue[int] = queue.Queue()
        self.request = StopRequest(seconds, self.ended.put)

    def asked(self) -> bool:
        return self.request.asked.wait(PATIENCE)


@pytest.fixture
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ignored_by_a_child() -> str:
    """Return whether a child ignores each signal, started as pyspark starts the JVM: with a ``preexec_fn``."""
    code = "import signal as s; print([s.getsignal(n) is s.SIG_IGN for n in (s.SIGTERM, s.SIGINT)])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, preexec_fn=lambda: None
    )
    return done.stdout.strip()


@pytest.mark.usefixtures("_handlers")
def test_a_child_ignores_signals_and_the_one_that_comes_meanwhile_is_not_lost() -> None:
    process = Process(None)
    process.request.listen()
    assert ignored_by_a_child() == "[False, False]"
    with children_ignore_signals():
        assert ignored_by_a_child() == "[True, True]"
        signal.raise_signal(signal.SIGTERM)
        assert process.asked()
    assert ignored_by_a_child() == "[False, False]"


def test_nobody_has_asked_at_first() -> None:
    assert not Process(0.01).request.asked.wait(0.05)


@pytest.mark.usefixtures("_handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_first_signal_asks_and_the_second_ends_the_process_with_its_code(number: signal.Signals) -> None:
    process = Process(None)
    process.request.listen()
    os.kill(os.getpid(), number)
    assert process.asked()
    assert process.ended.empty()
    os.kill(os.getpid(), number)
    assert process.ended.get(timeout=PATIENCE) == 128 + number


@pytest.mark.usefixtures("_handlers")
def test_a_signal_after_a_request_by_http_is_the_first_signal() -> None:
    process = Process(None)
    process.request.listen()
    process.request.ask()
    process.request.ask()
    assert process.asked()
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(queue.Empty):
        process.ended.get(timeout=0.2)
    os.kill(os.getpid(), signal.SIGTERM)
    assert process.ended.get(timeout=PATIENCE) == 128 + signal.SIGTERM


def test_at_the_bound_the_process_ends_with_1() -> None:
    process = Process(0.05)
    process.request.ask()
    assert process.ended.get(timeout=PATIENCE) == 1


def test_asking_again_does_not_move_the_bound() -> None:
    process = Process(0.3)
    for _ in range(20):
        process.request.ask()
    assert process.ended.get(timeout=PATIENCE) == 1


def test_a_process_that_does_not_listen_to_anybody_ends_at_the_bound_all_the_same() -> None:
    code = (
        "import os, signal\n"
        "from jobs.process.stopping import StopRequest\n"
        "StopRequest(0.2).listen()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "while True: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 1
    assert "the process ends without it" in done.stdout + done.stderr
