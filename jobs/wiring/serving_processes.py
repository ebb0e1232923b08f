"""Several processes behind one port: started, started again where one dies, and stopped together."""

from __future__ import annotations

import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import structlog

from jobs.process.ending import ending
from jobs.process.logs import configure_logging
from jobs.process.stopping import StopRequest, unless_asked
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.serving import ServingMember, require_servable, scoring_server
from jobs.wiring.serving_rights import certificate
from streaming.errors import ConfigurationError
from streaming.operations.http import Listening, reserved
from streaming.settings import ServeSettings, Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_LOOK_SECONDS = 0.2
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds from a process's death to the next one's start; doubled with each that dies before it serves."""
_SPAWN = get_context("spawn")
"""A fork would copy the locks of threads that do not run in the copy."""


@dataclass
class _Member:
    """One process, and what came of those that had its number before."""

    member: ServingMember
    settings: Settings
    serves: Event = field(default_factory=_SPAWN.Event)
    process: SpawnProcess | None = None
    has_served: bool = False
    pause: float = _FIRST_PAUSE
    next_start: float = 0.0

    def start(self) -> None:
        self.serves.clear()
        name = f"penstock-serve-{self.member.number}"
        self.process = _SPAWN.Process(target=_serve_one, args=(self.settings, self.member, self.serves), name=name)
        self.process.start()

    def look(self, now: float) -> None:
        """Start the process again if it has died; raises ``SystemExit`` with its code if none has served so far."""
        if self.serves.is_set():
            self.has_served, self.pause = True, _FIRST_PAUSE
        code = None if self.process is None else self.process.exitcode
        if self.process is not None and code is None:
            return
        if self.process is not None:
            if not self.has_served:
                raise SystemExit(code)
            _log.error("a process of the server died; it is started again", number=self.member.number, exit_code=code)
            self.process, self.next_start = None, now + self.pause
            self.pause = min(2 * self.pause, _LONGEST_PAUSE)
        if now >= self.next_start:
            self.start()

    def stop(self, deadline: float) -> None:
        """Wait for the process, which was asked to stop, and kill it at the deadline."""
        if self.process is not None:
            self.process.join(max(0.0, deadline - time.monotonic()))
            if self.process.exitcode is None:
                self.process.kill()
                self.process.join()


def serve_in_processes(settings: Settings, stopping: StopRequest) -> None:
    """Serve by ``serve.processes`` processes until asked to stop.

    Raises:
        ConfigurationError: the settings are wrong, or the port is taken; nothing was started.
        SystemExit: a process ended before it served; it has said why, and the code is its own.
    """
    require_servable(settings)
    certificate(settings.serve)
    with _shared_port(settings.serve) as port, tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        shared = settings.model_copy(update={"serve": settings.serve.model_copy(update={"port": port})})
        members = [ServingMember(number, Path(folder)) for number in range(settings.serve.processes)]
        _keep([_Member(member, shared) for member in members], stopping)


def _keep(members: list[_Member], stopping: StopRequest) -> None:
    try:
        while not stopping.asked.wait(_LOOK_SECONDS):
            for member in members:
                member.look(time.monotonic())
    finally:
        for member in members:
            if member.process is not None:
                member.process.terminate()
        serve = members[0].settings.serve
        # The time that each takes for what is in flight, and as much again to close what it has open.
        deadline = time.monotonic() + 2 * (serve.drain_seconds + serve.timeout_seconds) + 10.0
        for member in members:
            member.stop(deadline)


@contextmanager
def _shared_port(serve: ServeSettings) -> Iterator[int]:
    """Hold the address, so that a port in use is known before anything starts, and yield the port."""
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ConfigurationError("serve.processes needs a system on which processes can share a port; set it to 1")
    holder = reserved(serve.host, serve.port, Listening("serve", shared=True))
    with holder:
        yield holder.getsockname()[1]


def _serve_one(settings: Settings, member: ServingMember, serves: Event) -> None:
    """Serve as one of several; the process's main function."""
    configure_logging(settings.log)
    stopping = StopRequest(settings.engine.stop_seconds)
    stopping.listen()
    # Ctrl-C goes to all of the terminal's processes, and the one that started this asks it to stop anyway.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_stop_with_the_parent, args=(stopping,), daemon=True).start()
    prepare_mlflow()
    try:
        with unless_asked(stopping), scoring_server(settings, stopping, member) as server:
            server.run(serves.set)
    except Exception as problem:
        message, code = ending(problem)
        _log.error("a process of the server ends", number=member.number, problem=message)
        raise SystemExit(code) from None


def _stop_with_the_parent(stopping: StopRequest) -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        stopping.ask()
