"""A version's files, fetched by this process or by one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import PIPE
from typing import IO

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

# The import path is that of the process that starts it. The place may hold a password, so it is no argument, which
# every user of the machine could read.
_PROGRAM = (
    "import os, sys; sys.path[:] = sys.argv[1].split(os.pathsep);"
    " from streaming.adapters.mlflow.files import main; main()"
)
_LOWEST_PRIORITY = 19
_PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class FilesPlace:
    """Where a version's files are, and by which servers they are found."""

    uri: str
    tracking_uri: str
    registry_uri: str


FetchFiles = Callable[[FilesPlace, Path], None]
"""Writes all files into an empty folder; raises ``MlflowException`` or ``OSError``."""


def fetch(place: FilesPlace, target: Path) -> None:
    """Fetch in this process; a :data:`FetchFiles`."""
    repository = get_artifact_repository(place.uri, place.tracking_uri, place.registry_uri)
    repository.download_artifacts("", dst_path=str(target))


def fetch_apart(place: FilesPlace, target: Path) -> None:
    """Fetch in a process of its own, which gets what processor time others leave; a :data:`FetchFiles`.

    MLflow takes some milliseconds of Python for each file, which requests would wait for.
    """
    path = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-c", _PROGRAM, path]
    # A session of its own: who stops this process from a terminal lets it end in order.
    process = subprocess.Popen(command, stdin=PIPE, stdout=PIPE, start_new_session=True)
    with process, _open(process.stdin) as orders, _open(process.stdout) as reply:
        orders.write(json.dumps({"place": asdict(place), "target": str(target)}).encode() + b"\n")
        orders.flush()
        # The orders stay open: their end is how the process learns that this one is gone.
        problem = reply.read().decode()
    if process.returncode:
        raise MlflowException(problem or f"the process that fetched the files died (exit code {process.returncode})")


def main() -> None:
    """Fetch what one line of the input orders; where that fails, write why to the output and exit with code 1."""
    _give_way()
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    # Whatever MLflow prints is for the log.
    reply = os.dup(1)
    os.dup2(2, 1)
    try:
        fetch(FilesPlace(**order["place"]), Path(order["target"]))
    # Whatever it is, the process that waits is told.
    except Exception as problem:
        os.write(reply, str(problem).encode())
        os._exit(1)
    os._exit(0)


def _give_way() -> None:
    """Run only while nobody else would, for a while; where the system has no such policy, at the lowest priority."""
    if not hasattr(os, "SCHED_IDLE"):
        os.nice(_LOWEST_PRIORITY)
        return
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    # On processors that are never idle the version would not come.
    patience = threading.Timer(_PATIENCE_SECONDS, _take_turns)
    patience.daemon = True
    patience.start()


def _take_turns() -> None:
    for thread in os.listdir("/proc/self/task"):
        os.sched_setscheduler(int(thread), os.SCHED_OTHER, os.sched_param(0))


def _end_with_the_input() -> None:
    os.read(0, 1)
    os._exit(1)


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    """Return what a process that was started with pipes has."""
    if pipe is None:
        raise ValueError("it has no such pipe")
    return pipe
