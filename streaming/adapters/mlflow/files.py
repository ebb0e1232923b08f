"""A version's files, fetched by this process or by one of its own."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from streaming.helper_process import HelperProcess, helper_socket, start_helper

_LOWEST_PRIORITY = 19
_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class FilesLocation:
    """Where a version's files are, and by which servers they are found."""

    uri: str
    tracking_uri: str
    registry_uri: str


FetchFiles = Callable[[FilesLocation, Path], None]
"""Writes all files into an empty folder; raises ``MlflowException`` or ``OSError``."""


def fetch(location: FilesLocation, target: Path) -> None:
    """Fetch in this process; a :data:`FetchFiles`."""
    repository = get_artifact_repository(location.uri, location.tracking_uri, location.registry_uri)
    repository.download_artifacts("", dst_path=str(target))


class FetchingProcess:
    """A process that fetches, with what processor time others leave; a :data:`FetchFiles`, safe from every thread.

    MLflow takes some milliseconds of Python for each file, which requests would wait for, and two seconds to be
    imported. So the process imports it when it starts, and then waits for orders. A further one takes the place of one
    that died.
    """

    def __init__(self) -> None:
        """Start it."""
        self._lock = threading.Lock()
        self._helper: HelperProcess | None = start_helper(__name__)

    def __call__(self, location: FilesLocation, target: Path) -> None:
        """Fetch, after whoever asked before."""
        with self._lock:
            problem = self._asked(location, target)
        if problem:
            raise MlflowException(problem)

    def close(self) -> None:
        """End the process, whatever it does; who waits for it is told that it died."""
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.end()

    def _asked(self, location: FilesLocation, target: Path) -> str:
        helper = self._helper = self._helper or start_helper(__name__)
        try:
            # A location may hold a password, so it is no argument, which every user of the machine could read.
            helper.socket.send_bytes(json.dumps({"location": asdict(location), "target": str(target)}).encode())
            return helper.socket.recv_bytes().decode()
        except (EOFError, OSError):
            self.close()
            return "the process that fetched the files died"


def fetch_apart(location: FilesLocation, target: Path) -> None:
    """Fetch by a process that ends with it; a :data:`FetchFiles`."""
    with closing(FetchingProcess()) as process:
        process(location, target)


def main(descriptor: int) -> None:
    """Fetch what is ordered over a socket, and answer with what went wrong; with nothing where all went well."""
    socket = helper_socket(descriptor)
    _give_way()
    while True:
        try:
            order = json.loads(socket.recv_bytes())
        except EOFError:
            return
        with _patience():
            problem = _problem(FilesLocation(**order["location"]), Path(order["target"]))
        socket.send_bytes(problem.encode())


def _problem(location: FilesLocation, target: Path) -> str:
    try:
        fetch(location, target)
    # Whatever it is, the process that waits is told.
    except Exception as error:
        return str(error) or repr(error)
    return ""


@contextmanager
def _patience() -> Iterator[None]:
    # On processors that are never idle the version would not come.
    timer = threading.Timer(_PATIENCE_SECONDS, _take_turns)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()
    timer.join()
    _give_way()


def _give_way() -> None:
    """Run only while nobody else would; where the system has no such policy, at the lowest priority."""
    if hasattr(os, "SCHED_IDLE"):
        _schedule(os.SCHED_IDLE)
    else:
        os.nice(_LOWEST_PRIORITY)


def _take_turns() -> None:
    if hasattr(os, "SCHED_IDLE"):
        _schedule(os.SCHED_OTHER)


def _schedule(policy: int) -> None:
    for thread in os.listdir("/proc/self/task"):
        # A thread may end between the two lines.
        with suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread), policy, os.sched_param(0))
