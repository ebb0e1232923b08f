"""Start a program, know whether it lives, stop it whole: one place for every process Penstock starts."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from streaming.errors import SetupError

LEASH = Path(__file__).with_name("leash.py")
LOOPBACK = "127.0.0.1"
_DRAWN = range(20_000, 32_768)
"""Ports below those that a system gives to outgoing connections: from 32768 on Linux, from 49152 by RFC 6335."""


class ManagedProcess:
    """A program in a process group of its own, its output in a file, that cannot outlive this process.

    Args:
        name: What to call it in messages (``broker``).
        command: The program and its arguments.
        log: The file that gets its output; it is begun afresh.
        environment: All of the program's environment variables.
        grace: Seconds it gets to stop by itself before it is killed.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, environment: Mapping[str, str], grace: float = 10.0
    ) -> None:
        self.name = name
        self.log = log
        self._grace = grace
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            self._leash = subprocess.Popen(
                # Isolated: the leash needs the standard library alone, and starts sooner without the rest.
                [sys.executable, "-I", "-S", str(LEASH), str(grace), *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                # Ctrl-C in a terminal goes to its foreground group, which the program must not be in.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process at the root of the program's: the one that holds its leash."""
        return self._leash.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, or ``None`` while it runs."""
        return self._leash.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the program to end and return its exit code; ``TimeoutError`` after ``timeout`` seconds."""
        try:
            return self._leash.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{self.name} still runs after {timeout} s; its log is {self.log}") from error

    def stop(self) -> int:
        """Ask the program to stop, kill what is left of its group after ``grace``, and return its exit code."""
        if self._leash.stdin is not None:
            self._leash.stdin.close()
        return self._leash.wait(self._grace + 10.0)

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until ``ready()``; ``SetupError`` with the log's end if the program ends or time runs out first."""
        deadline = time.monotonic() + timeout
        while True:
            # Before readiness: on a port taken by another, that other one would answer.
            if self.exit_code is not None:
                raise SetupError(f"The {self.name} ended with code {self.exit_code} while starting. {self._evidence()}")
            if ready():
                return
            if time.monotonic() > deadline:
                raise SetupError(f"The {self.name} was not ready within {timeout:.0f} s. {self._evidence()}")
            time.sleep(0.1)

    def _evidence(self) -> str:
        return f"The end of its log ({self.log}):\n{self.tail()}"


class Service:
    """A managed process that others connect to; as a context manager it is stopped at the end.

    Args:
        process: The process, just started.
        address: What clients are configured with (``127.0.0.1:9092``, ``http://127.0.0.1:5000``).
        answers: Whether it answers requests at this moment.
        ready_seconds: How long it may take to get there.
    """

    def __init__(
        self, process: ManagedProcess, address: str, answers: Callable[[], bool], ready_seconds: float
    ) -> None:
        self.process = process
        self.address = address
        self._answers = answers
        self._ready_seconds = ready_seconds

    def wait_ready(self) -> None:
        """Return when it answers requests; ``SetupError`` with the end of its log if it does not get there."""
        self.process.wait_ready(self._answers, self._ready_seconds)

    def stop(self) -> None:
        """Shut it down in order; its data stays."""
        self.process.stop()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def free_port() -> int:
    """Return a loopback port that was free a moment ago, and that no outgoing connection is given meanwhile.

    A port that the system chooses is one of those it also gives to outgoing connections, and the seconds until a
    server listens are time enough for one of them to get it. So it is drawn from below their range, by the system's
    randomness: processes that seed theirs alike must not draw alike.

    Raises:
        SetupError: Every port of a hundred drawn is taken.
    """
    for _ in range(100):
        port = secrets.choice(_DRAWN)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise SetupError(
        f"No free port between {_DRAWN[0]} and {_DRAWN[-1]} on {LOOPBACK}: `ss -ltn` shows who listens there."
    )


def require_free_port(port: int, service: str, option: str) -> None:
    """Raise ``SetupError`` if ``port`` is taken on the loopback address.

    Args:
        port: The port that the service is going to listen on.
        service: Named in the message (``Kafka``).
        option: How to choose another port (``--kafka-port``).
    """
    with socket.socket() as probe:
        # As servers do, so that connections left over from the last run (TIME_WAIT) do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise SetupError(
                f"Port {port} for {service} cannot be used: {error.strerror}. Stop the program that holds it "
                f"(`lsof -i :{port}` shows which), or choose another port with {option}."
            ) from error
