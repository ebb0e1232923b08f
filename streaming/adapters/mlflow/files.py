"""A version's files, fetched by this process or by one of its own."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from streaming.helper_process import helper_socket, start_helper

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


def fetch_apart(location: FilesLocation, target: Path) -> None:
    """Fetch in a process of its own, which gets what processor time others leave; a :data:`FetchFiles`.

    MLflow takes some milliseconds of Python for each file, which requests would wait for.
    """
    helper = start_helper(__name__)
    try:
        # A location may hold a password, so it is no argument, which every user of the machine could read.
        helper.socket.send_bytes(json.dumps({"location": asdict(location), "target": str(target)}).encode())
        problem = helper.socket.recv_bytes().decode()
    except (EOFError, OSError):
        problem = "the process that fetched the files died"
    finally:
        helper.end()
    if problem:
        raise MlflowException(problem)


def main(descriptor: int) -> None:
    """Fetch what is ordered over a socket, and answer with what went wrong; with nothing where all went well."""
    socket = helper_socket(descriptor)
    _give_way()
    order = json.loads(socket.recv_bytes())
    problem = ""
    try:
        fetch(FilesLocation(**order["location"]), Path(order["target"]))
    # Whatever it is, the process that waits is told.
    except Exception as error:
        problem = str(error) or repr(error)
    socket.send_bytes(problem.encode())


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
