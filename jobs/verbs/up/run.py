"""``penstock up`` and ``penstock down``: local services in the foreground, or held by a process of their own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import psutil
from rich.console import Console

from jobs.configuration.paths import require_writable
from jobs.wiring.jars import jars
from streaming.errors import SetupError
from streaming.local.processes import require_free_port
from streaming.local.services import Services, services
from streaming.whole_file import write_whole

STOP_SECONDS = 45.0
START_SECONDS = 180.0
_DEFAULT_HOME = Path(".penstock")


@dataclass(frozen=True)
class Running:
    """The process that holds the services; ``created`` tells it from a later one with the same id."""

    pid: int
    created: float
    bootstrap_servers: str
    tracking_uri: str


def run(home: Path, kafka_port: int, mlflow_port: int) -> None:
    """Start both services, print their addresses and stay until Ctrl-C or SIGTERM.

    Raises:
        SetupError: They run already, a port is taken, Java is missing, or a service ends.
    """
    _check(home, kafka_port, mlflow_port)
    console = Console()
    with _stop_on_signals():
        installed = jars(home)
        console.print("Starting Apache Kafka and the MLflow tracking server ...")
        with (
            services(home, installed.broker, os.environ, kafka_port=kafka_port, mlflow_port=mlflow_port) as running,
            _state(home, running),
        ):
            _print_addresses(console, running.bootstrap_servers, running.tracking_uri)
            console.print("Ctrl-C stops both; the data stays in " + str(home))
            _watch(running)


def start_detached(home: Path, kafka_port: int, mlflow_port: int) -> None:
    """Start both services in a process of their own and return when they answer.

    Raises:
        SetupError: As ``run``.
    """
    _check(home, kafka_port, mlflow_port)
    jars(home)
    log = home / "up.log"
    # Another interpreter and not a fork: this process may have threads, which a fork would lose.
    command = [sys.executable, "-m", "penstock", "up", "--home", str(home)]
    command += ["--kafka-port", str(kafka_port), "--mlflow-port", str(mlflow_port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    console = Console()
    with console.status("Starting Apache Kafka and the MLflow tracking server"):
        while (running := find(home)) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                process.terminate()
                raise SetupError(f"The services did not start. Their log ({log}):\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
    _print_addresses(console, running.bootstrap_servers, running.tracking_uri)
    console.print(f"Stop them with `{down_command(home)}`.", soft_wrap=True)


def stop(home: Path) -> None:
    """Stop what ``run`` or ``start_detached`` started; not running is fine.

    Raises:
        SetupError: The process does not end within 45 seconds.
    """
    console = Console()
    running = find(home)
    if running is None:
        console.print("Nothing is running here.")
        return
    process = psutil.Process(running.pid)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired as error:
        raise SetupError(
            f"Process {running.pid} does not stop; see {home / 'up.log'}, then end it with `kill -9 {running.pid}`."
        ) from error
    console.print("Stopped. The data stays in " + str(home))


def find(home: Path) -> Running | None:
    """Return what runs below ``home``, or ``None``; a state file left by a crash does not count."""
    try:
        running = Running(**json.loads(_state_file(home).read_text()))
        # The system gives the id of a dead process to another one some time later.
        alive = psutil.Process(running.pid).create_time() == running.created
    except (OSError, ValueError, TypeError, psutil.NoSuchProcess):
        return None
    return running if alive else None


def down_command(home: Path) -> str:
    """Return the command that stops what runs below ``home``.

    >>> down_command(Path(".penstock")), down_command(Path("my services"))
    ('penstock down', "penstock down --home 'my services'")
    """
    return "penstock down" if home == _DEFAULT_HOME else f"penstock down --home {shlex.quote(str(home))}"


def _state_file(home: Path) -> Path:
    return home / "up.json"


def _check(home: Path, kafka_port: int, mlflow_port: int) -> None:
    if kafka_port == mlflow_port:
        raise SetupError(
            f"Port {kafka_port} is named for Kafka and for MLflow, and each needs its own; change --kafka-port or"
            " --mlflow-port."
        )
    require_writable(home, "--home")
    home.mkdir(parents=True, exist_ok=True)
    running = find(home)
    if running is not None:
        raise SetupError(
            f"The services run already (process {running.pid}): Kafka at {running.bootstrap_servers}, MLflow at "
            f"{running.tracking_uri}. Stop them with `{down_command(home)}`."
        )
    require_free_port(kafka_port, "Kafka", "--kafka-port")
    require_free_port(mlflow_port, "MLflow", "--mlflow-port")


@contextmanager
def _stop_on_signals() -> Iterator[None]:
    """Leave the block at SIGTERM, SIGHUP or Ctrl-C, so that the services are stopped."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # SIGHUP comes when the terminal is closed.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, leave)
    try:
        yield
    except KeyboardInterrupt:
        Console().print("Stopped.")


@contextmanager
def _state(home: Path, running: Services) -> Iterator[None]:
    me = psutil.Process()
    state = Running(me.pid, me.create_time(), running.bootstrap_servers, running.tracking_uri)
    path = _state_file(home)
    # `penstock down` may read the file at any moment.
    write_whole(path, json.dumps(asdict(state)).encode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _print_addresses(console: Console, bootstrap_servers: str, tracking_uri: str) -> None:
    console.print(f"Kafka   {bootstrap_servers}", highlight=False)
    console.print(f"MLflow  {tracking_uri}", highlight=False)
    console.print("To point penstock and MLflow at them:", highlight=False)
    console.print(f"  export KAFKA_BOOTSTRAP_SERVERS={bootstrap_servers}", highlight=False)
    console.print(f"  export MLFLOW_TRACKING_URI={tracking_uri}", highlight=False)


def _watch(running: Services) -> None:
    while True:
        for process in running.processes:
            if process.exit_code is not None:
                raise SetupError(
                    f"The {process.name} ended with code {process.exit_code}. "
                    f"The end of its log ({process.log}):\n{process.tail()}"
                )
        time.sleep(0.5)
