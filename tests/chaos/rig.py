"""What all seeds of a run share: one broker, one registry, and four versions that contradict each other by turns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil

from jobs.wiring.class_archive import archive_options
from jobs.wiring.jars import jars
from jobs.wiring.mlflow_client import prepare_mlflow
from streaming.adapters.session import SessionPlan, start_session
from streaming.local.broker import start_broker
from streaming.local.processes import Service, free_port
from streaming.local.tracking import start_tracking_server
from tests.support.commands import ROOT
from tests.support.eventually import eventually
from tests.support.team import Team, save_pipeline

VERSIONS = 4
HOME = ROOT / ".penstock"


class Mortal:
    """A service that can be killed without warning, and comes back with the same address and data."""

    def __init__(self, start: Callable[[], Service], data: Path) -> None:
        self._start = start
        self._data = data
        self._service = start()

    @property
    def address(self) -> str:
        """Where clients connect."""
        return self._service.address

    def wait_ready(self) -> None:
        """Return when it answers."""
        self._service.wait_ready()

    def kill(self) -> None:
        """SIGKILL all its processes at once."""
        top = [p for p in psutil.Process().children(recursive=True) if _mentions(p, str(self._data))]
        mine = {*top, *(child for process in top for child in process.children(recursive=True))}
        for process in mine:
            process.kill()
        eventually(lambda: self._service.process.exit_code is not None)
        psutil.wait_procs(list(mine), 10)

    def come_back(self) -> None:
        """Start it again, if it does not run, and wait until it answers."""
        if self._service.process.exit_code is None:
            return
        self._service = self._start()
        self.wait_ready()

    def stop(self) -> None:
        """Shut it down in order."""
        self._service.stop()


def _mentions(process: psutil.Process, text: str) -> bool:
    """Whether a process was started with ``text``; the leash, which is to notice its end, is not meant."""
    try:
        words = process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
    return any(text in word for word in words) and not any(word.endswith("leash.py") for word in words)


@dataclass(frozen=True)
class Rig:
    """The services. ``data`` is the broker's, ``folder`` has a folder for each seed.

    ``saved`` are the pipelines of the versions with odd and with even numbers.
    """

    folder: Path
    broker: Mortal
    registry: Mortal
    team: Team
    data: Path
    saved: Mapping[bool, Path]
    candidates: Iterator[int] = field(default_factory=lambda: count(VERSIONS + 1))

    def publish_candidate(self) -> int:
        """Register one more version, which no swap will name; return its number."""
        number = next(self.candidates)
        self.team.saved = self.saved[number % 2 == 1]
        registered = self.team.publish(champion=False)
        if registered != number:
            raise AssertionError(f"the registry numbered version {number} as {registered}")
        return registered


@contextmanager
def rig(folder: Path, say: Callable[[str], None]) -> Iterator[Rig]:
    """Start everything, train and register the versions; stop everything at the end."""
    broker_jars = jars(HOME).broker
    kafka, mlflow = folder / "kafka", folder / "mlflow"
    kafka_port, mlflow_port = free_port(), free_port()
    with ExitStack() as stack:
        registry = Mortal(lambda: start_tracking_server(mlflow, mlflow_port, os.environ), mlflow)
        stack.callback(registry.stop)
        broker = Mortal(lambda: start_broker(kafka, broker_jars, kafka_port, os.environ), kafka)
        stack.callback(broker.stop)
        say("training the versions")
        saved = _pipelines(folder)
        registry.wait_ready()
        team = Team(registry.address, saved[True], folder / "versions", model="chaos")
        for number in range(1, VERSIONS + 1):
            team.saved = saved[number % 2 == 1]
            team.publish(champion=number == 1)
        broker.wait_ready()
        yield Rig(folder, broker, registry, team, data=kafka / "data", saved=saved)


def _pipelines(folder: Path) -> dict[bool, Path]:
    """Save two pipelines that say the opposite of each other, so that a prediction shows which one made it."""
    trees = folder / "saved"
    trees.mkdir()
    prepare_mlflow()
    spark = start_session(SessionPlan("chaos", master="local[2]", java_options=archive_options()))
    try:
        return {up: save_pipeline(spark, trees / name, slope) for up, name, slope in _SLOPES}
    finally:
        spark.stop()


_SLOPES = ((True, "up", 1.0), (False, "down", -1.0))
