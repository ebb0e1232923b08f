"""The pulse of a JVM: an answer keeps it, silence loses it, and a long freeze of this process does neither."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from streaming.operations.pulse import Pulse
from tests.support.eventually import eventually


class Watched:
    """A pulse with a question of one's own, and what it said."""

    def __init__(self, ask: Callable[[], object], seconds: float = 0.2) -> None:
        self.lost: list[float] = []
        self.pulse = Pulse(ask, seconds, self.lost.append, every=0.02)


def test_silence_for_so_long_is_told_once() -> None:
    hangs, asked = threading.Event(), threading.Event()

    def ask() -> None:
        asked.set()
        hangs.wait()

    watched = Watched(ask)
    watched.pulse.start()
    assert asked.wait(5)
    eventually(lambda: watched.lost, every=0.01)
    hangs.set()
    assert watched.pulse.is_lost
    assert watched.lost[0] > 0.2
    assert not threading.Event().wait(0.3)
    assert len(watched.lost) == 1


def test_answers_keep_it_however_long_the_work_takes() -> None:
    answers: list[int] = []
    watched = Watched(lambda: answers.append(1))
    watched.pulse.start()
    eventually(lambda: len(answers) > 30, every=0.01)
    watched.pulse.stop()
    assert (watched.lost, watched.pulse.is_lost) == ([], False)


def test_an_exception_is_no_answer() -> None:
    def ask() -> None:
        raise ConnectionError

    watched = Watched(ask)
    watched.pulse.start()
    eventually(lambda: watched.lost, every=0.01)


@pytest.mark.parametrize("started", [True, False])
def test_a_pulse_that_was_stopped_says_nothing(started: bool) -> None:
    hangs = threading.Event()
    watched = Watched(hangs.wait, seconds=0.1)
    if started:
        watched.pulse.start()
    watched.pulse.stop()
    assert not hangs.wait(0.3)
    hangs.set()
    assert watched.lost == []


FROZEN = """
import threading
from streaming.operations.pulse import Pulse

done = threading.Event()
pulse = Pulse(lambda: None, 0.5, lambda _: print("lost", flush=True), every=0.05)
pulse.start()
print("runs", flush=True)
input()
done.wait(0.3)
print("on" if not pulse.is_lost else "gone", flush=True)
"""


def test_a_process_that_was_frozen_as_a_whole_does_not_take_that_for_silence() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FROZEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        process.send_signal(signal.SIGSTOP)
        assert not threading.Event().wait(1.0), "longer than the bound"
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "on\n"
