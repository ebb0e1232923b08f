"""The lease over a real broker: who has it, who gets it next, and when."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from streaming.adapters.kafka.lease import KafkaLease
from streaming.errors import ConfigurationError
from tests.support.commands import environment
from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic

SECONDS = 6

ELSEWHERE = """
import sys, threading
from streaming.adapters.kafka.lease import KafkaLease

class Prints:
    def lease_changed(self, *, held):
        print("held" if held else "gone", flush=True)

broker, topic, application = sys.argv[1:]
KafkaLease({"bootstrap.servers": broker}, topic, application, 6, Prints()).wait(threading.Event())
threading.Event().wait()
"""


@dataclass
class Driver:
    """One driver in the line, waiting on a thread of its own."""

    broker: str
    topic: str
    application: str
    seconds: int = SECONDS
    heard: list[bool] = field(default_factory=list)
    got: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stopping = threading.Event()
        servers = {"bootstrap.servers": self.broker}
        self.lease = KafkaLease(servers, self.topic, self.application, self.seconds, self)
        self.thread = threading.Thread(target=lambda: self.got.append(self.lease.wait(self.stopping)), daemon=True)

    def lease_changed(self, *, held: bool) -> None:
        self.heard.append(held)

    def join(self) -> Driver:
        self.thread.start()
        return self

    def holds(self) -> bool:
        return self.got == [True] and self.heard[-1:] == [True]

    def close(self) -> None:
        self.stopping.set()
        self.thread.join(10)
        self.lease.leave()


class Line:
    """The drivers of one application."""

    def __init__(self, broker: str, topic: str) -> None:
        self.broker, self.topic, self.application = broker, topic, f"app-{uuid4().hex[:8]}"
        self.drivers: list[Driver] = []

    def driver(self) -> Driver:
        made = Driver(self.broker, self.topic, self.application)
        self.drivers.append(made)
        return made.join()

    def process(self) -> subprocess.Popen[str]:
        """A driver in a process of its own, which has the lease when this returns."""
        arguments = [sys.executable, "-c", ELSEWHERE, self.broker, self.topic, self.application]
        made = subprocess.Popen(arguments, env=environment(), stdout=subprocess.PIPE, text=True)
        assert made.stdout is not None
        assert made.stdout.readline() == "held\n"
        return made

    def close(self) -> None:
        for driver in self.drivers:
            driver.close()


@pytest.fixture(scope="module")
def topic(make_topic: MakeTopic) -> str:
    return make_topic("ledger", partitions=1)


@pytest.fixture
def line(broker: str, topic: str) -> Iterator[Line]:
    made = Line(broker, topic)
    yield made
    made.close()


def test_the_lease_stays_with_the_first_while_others_come_and_go(line: Line) -> None:
    first = line.driver()
    eventually(first.holds)
    second, third = line.driver(), line.driver()
    third.close()
    fourth = line.driver()
    fourth.close()
    first.close()
    eventually(second.holds)
    assert (first.heard, third.heard, fourth.heard) == ([True, False], [], [])


def test_a_driver_that_is_stopped_while_it_waits_gets_nothing(line: Line) -> None:
    eventually(line.driver().holds)
    second = line.driver()
    second.close()
    assert second.got == [False]


def test_two_applications_do_not_meet(broker: str, topic: str, line: Line) -> None:
    other = Line(broker, topic)
    eventually(line.driver().holds)
    eventually(other.driver().holds)
    other.close()


def test_a_killed_driver_is_given_up_after_its_time(line: Line) -> None:
    process = line.process()
    second = line.driver()
    process.kill()
    process.wait()
    eventually(second.holds, timeout=60)


@pytest.mark.long
def test_a_driver_that_fell_silent_learns_of_its_loss_when_it_wakes_up(line: Line) -> None:
    process = line.process()
    second = line.driver()
    try:
        process.send_signal(signal.SIGSTOP)
        eventually(second.holds, timeout=60)
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert process.stdout.readline() == "gone\n"
        assert second.holds()
    finally:
        process.kill()
        process.wait()


def test_a_lease_too_short_for_the_broker_is_refused_with_the_remedy(broker: str, topic: str) -> None:
    driver = Driver(broker, topic, f"app-{uuid4().hex[:8]}", seconds=1)
    with pytest.raises(ConfigurationError, match=r"engine\.lease_seconds"):
        driver.lease.wait(threading.Event())
    driver.lease.leave()
