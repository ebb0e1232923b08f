"""One seed's own things: topics, drivers, producer, failpoints; and knowing whether events still get through."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from streaming.accounting.load import SteadyLoad
from streaming.accounting.records import Sent
from streaming.failpoints import HIT
from tests.chaos.cluster import cluster, settings
from tests.chaos.drivers import Driver
from tests.chaos.rig import VERSIONS, Rig
from tests.chaos.schedule import Kind, Schedule
from tests.support.eventually import eventually
from tests.support.kafka import topic_maker
from tests.support.traffic import traffic

PARTITIONS = 2
RATE = 200
TRANSACTION_SECONDS = 10
PATIENCE = 300.0
FENCED_EXIT, UPSTREAM_EXIT = 5, 4
_EXCUSED_EXITS = {FENCED_EXIT, UPSTREAM_EXIT, 0}
"""A driver may end like this in a storm and lose nothing; whoever runs it starts it again."""
_MOST_EXITS = 5
_ANSWER_SECONDS = 10.0
_SMALL_TRANSACTION = 20_000


_FENCED = '"event": "transaction fenced"'


class StalledError(Exception):
    """Events no longer get through, or a driver ended as it never should."""


@dataclass
class Tally:
    """What happened, counted for the summary."""

    kills: int = 0
    fenced: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    takeovers: list[float] = field(default_factory=list)
    """Seconds from a driver's death to the first batch of its standby."""
    exits: list[int] = field(default_factory=list)
    """Exit codes of drivers that ended by themselves."""


class Scene:
    """Everything of one seed. As a context manager it leaves no process behind."""

    def __init__(self, rig: Rig, plan: Schedule) -> None:
        self.rig, self.plan = rig, plan
        for service in (rig.broker, rig.registry):  # the last seed may have failed while one was away
            service.come_back()
        self.chance = Random(plan.seed)
        self.home = rig.folder / str(plan.seed)
        self.failpoints = self.home / "failpoints"
        (self.failpoints / HIT).mkdir(parents=True)
        self.topic = topic_maker(rig.broker.address)(f"chaos-{plan.seed}", partitions=PARTITIONS, retention_ms=-1)
        self.admin = AdminClient({"bootstrap.servers": rig.broker.address})
        # Patient and idempotent: a broker that comes back must find every event once and in order.
        patient = {"message.timeout.ms": 300_000, "reconnect.backoff.max.ms": 500}
        self.load: SteadyLoad[Sent] = SteadyLoad(rig.broker.address, self.topic, RATE, **patient)
        self.removed: dict[int, list[range]] = defaultdict(list)
        self.tally = Tally(kinds=plan.kinds())
        self.version = 1
        self.candidate: int | None = None
        """The version of the rollout, if there was one."""
        self.drivers: list[Driver] = []
        self._every: list[Driver] = []
        # Any group member but a subscribed one: it only asks for offsets.
        self._marks = Consumer({"bootstrap.servers": rig.broker.address, "group.id": self.topic})
        self._master = ""
        self._stack = ExitStack()

    def __enter__(self) -> Scene:
        self._stack.callback(self._marks.close)
        if self.plan.has(Kind.SPECULATION):
            self._master = self._stack.enter_context(cluster(self.home / "cluster"))
        self.rig.team.point(self.version)
        self.load.start(traffic(self.chance, PARTITIONS, skewed=self.plan.skewed))
        return self

    def __exit__(self, *_: object) -> None:
        self.load.halt()
        for driver in self._every:
            driver.close()
        self._stack.close()

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that all drivers of the application share."""
        return self.home / "checkpoint"

    @property
    def config(self) -> Path:
        """The settings of the application, as somebody at the command line has them."""
        return self._every[0].config

    def start_driver(self, *arguments: str) -> Driver:
        """Start another driver, and return without waiting for it."""
        home = self.home / f"driver-{len(self._every) + 1}"
        driver = Driver(
            self.rig.broker.address, self.topic, self.rig.team, home, self._changes(), self.plan.has(Kind.DISK_FULL)
        )
        self._every.append(driver)
        driver.spawn(*arguments)
        self.drivers.append(driver)
        return driver

    def _changes(self) -> dict[str, dict[str, object]]:
        engine: dict[str, object] = {
            "checkpoint": str(self.checkpoint),
            "failpoints": str(self.failpoints),
            "transaction_timeout_ms": TRANSACTION_SECONDS * 1000,
            "lease_seconds": 6,
        }
        if self.plan.small:
            engine["transaction_max_bytes"] = _SMALL_TRANSACTION
        placed = settings(self._master, self.home / "staged") if self._master else {}
        return {**placed, "engine": engine, "input": {"topic": self.topic, "max_rows_per_batch": 2_000}}

    def leader(self) -> Driver:
        """Return the driver that scores now, waiting for one."""
        return eventually(
            lambda: next((d for d in self.living() if d.running and d.unready() == []), None), timeout=PATIENCE
        )

    def living(self) -> list[Driver]:
        """Return the drivers that run; what ended by itself is noted, and replaced if it was the last.

        Raises:
            StalledError: one ended with a code that no storm explains, or they end all the time.
        """
        for driver in [d for d in self.drivers if not d.running and not self._was_told_to_die(d)]:
            self.drivers.remove(driver)
            self.tally.exits.append(driver.process.returncode)
            if driver.process.returncode not in _EXCUSED_EXITS or len(self.tally.exits) > _MOST_EXITS:
                raise StalledError(f"a driver ended with {driver.process.returncode}: {driver.text()[-3_000:]}")
        if not self.drivers:
            self.start_driver()
        return self.drivers

    def _was_told_to_die(self, driver: Driver) -> bool:
        return any(self.failpoints.glob(f"{HIT}/engine.*.{driver.process.pid}.*"))

    def marks(self) -> dict[int, int]:
        """Return how far each partition's output is committed."""
        partitions = [TopicPartition(self.topic, p) for p in range(PARTITIONS)]

        def committed() -> dict[int, int]:
            result = self._marks.committed(partitions, timeout=_ANSWER_SECONDS)
            for error in (mark.error for mark in result if mark.error):
                raise KafkaException(error)
            return {mark.partition: max(mark.offset, 0) for mark in result}

        return dict(_answered(committed))

    def bounds(self, partition: int) -> tuple[int, int]:
        """Return the first offset that an input partition still has, and its end."""
        part = TopicPartition(self.topic, partition)
        first, end = _answered(lambda: self._marks.get_watermark_offsets(part, timeout=_ANSWER_SECONDS))
        return first, end

    def await_progress(self) -> None:
        """Return when every partition has moved on."""
        before = self.marks()
        self.wait_for(lambda: all(now > before[p] for p, now in self.marks().items()), "both partitions to move on")

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait for ``condition``, with a driver running all the while.

        Raises:
            StalledError: it does not come true.
        """
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.living()
            if time.monotonic() > deadline:
                raise StalledError(f"waited {PATIENCE:.0f} s for {what}")
            time.sleep(0.1)

    def arm(self, point: str, action: str) -> None:
        """Arm a failpoint; written beside and renamed, so that nobody reads half of it."""
        draft = self.failpoints / f"{point}.draft"
        draft.write_text(action)
        draft.rename(self.failpoints / point)

    def hit(self, point: str) -> int:
        """Wait until the armed failpoint was reached; return the process that did."""
        self.wait_for(lambda: not (self.failpoints / point).exists(), f"{point} to be reached")
        self.tally.hits[point] += 1
        newest = max(self.failpoints.glob(f"{HIT}/{point}.*"), key=lambda file: int(file.name.rpartition(".")[2]))
        return int(newest.name.split(".")[-2])

    def finish(self) -> None:
        """Let the last swap come through, answer every event, and end the drivers in order.

        Raises:
            StalledError: one of these does not happen.
        """
        self.await_swap()
        self.await_progress()
        self.load.stop()
        ends = {p: self.bounds(p)[1] for p in range(PARTITIONS)}
        self.wait_for(lambda: self.marks() == ends, "the last events to be answered")
        for driver in sorted(self.living(), key=lambda d: d.unready() == []):  # a standby first, or it would take over
            if code := driver.stop():
                raise StalledError(f"a driver that was asked to stop ended with {code}: {driver.text()[-3_000:]}")
        logs = [*self.home.glob("*/log"), *self.home.glob("cluster/**/stderr")]
        self.tally.fenced = sum(log.read_text(errors="replace").count(_FENCED) for log in logs)

    def await_swap(self) -> None:
        """Wait until the version that the alias names serves; raises ``StalledError`` if it does not."""
        self.wait_for(lambda: self.serving() == self.version, f"version {self.version} to serve")

    def serving(self) -> int | None:
        """Return the champion of the driver that scores now; ``None`` if there is none at the moment."""
        leader = next((d for d in self.living() if d.running and d.unready() == []), None)
        return leader.serving() if leader else None

    def swap(self) -> None:
        """Move the alias to the next version; the job follows when it can."""
        self.version = self.version % VERSIONS + 1
        self.rig.team.point(self.version)


def _answered(call: Callable[[], Any]) -> Any:
    """Ask until there is an answer: a broker that has just come back must first learn what it coordinates."""

    def attempt() -> tuple[Any]:
        try:
            return (call(),)
        except KafkaException as problem:
            raise AssertionError(str(problem)) from problem

    return eventually(attempt, timeout=PATIENCE)[0]
