from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from streaming.errors import SetupError
from streaming.local.processes import LOOPBACK, ManagedProcess, free_port, require_free_port
from tests.support.eventually import eventually

# A program with a child; both write their ids.
FAMILY = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""


def start(program: str, *arguments: str, log: Path, grace: float = 5.0) -> ManagedProcess:
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    return ManagedProcess("program", command, log=log, environment=os.environ, grace=grace)


def pids_in(file: Path) -> list[int]:
    """The ids in the file, or none while the program has not written them."""
    return [int(word) for word in file.read_text().split()] if file.exists() else []


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_stopping_ends_the_program_and_its_children(tmp_path: Path) -> None:
    process = start(FAMILY, str(tmp_path / "pids"), log=tmp_path / "log")
    pids = eventually(lambda: pids_in(tmp_path / "pids"))
    assert len(alive(pids)) == 2

    process.stop()

    eventually(lambda: not alive(pids))
    assert process.exit_code is not None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_nothing_outlives_a_parent_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    parent_program = f"""
        import os, sys, time
        from pathlib import Path
        from streaming.local.processes import ManagedProcess
        folder = Path(sys.argv[1])
        command = [sys.executable, "-c", {FAMILY!r}, str(folder / "pids")]
        process = ManagedProcess("program", command, log=folder / "log", environment=os.environ, grace=2.0)
        time.sleep(600)
    """
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", textwrap.dedent(parent_program), str(tmp_path)]
    with subprocess.Popen(command, cwd=root) as parent:
        pids = eventually(lambda: pids_in(tmp_path / "pids"))
        leashes = [process.pid for process in psutil.Process(parent.pid).children()]
        parent.send_signal(number)
        parent.wait(10)

    eventually(lambda: not alive([*pids, *leashes]))


def test_a_program_may_finish_what_it_is_doing(tmp_path: Path) -> None:
    process = start(
        """
        import pathlib, signal, sys, time
        def finish(*_):
            time.sleep(0.5)
            pathlib.Path(sys.argv[1]).write_text("finished")
            sys.exit(7)
        signal.signal(signal.SIGTERM, finish)
        print("ready", flush=True)
        time.sleep(600)
        """,
        str(tmp_path / "result"),
        log=tmp_path / "log",
    )
    eventually(lambda: "ready" in process.tail())

    assert process.stop() == 7
    assert (tmp_path / "result").read_text() == "finished"


def test_a_program_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    process = start(
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
        time.sleep(600)
        """,
        log=tmp_path / "log",
        grace=0.3,
    )
    eventually(lambda: "deaf" in process.tail())
    assert process.stop() == 128 + signal.SIGKILL


def test_a_program_that_dies_while_starting_is_noticed_with_its_last_words(tmp_path: Path) -> None:
    process = start("import sys; sys.exit('the disk is on fire')", log=tmp_path / "log")
    with pytest.raises(SetupError, match="ended with code 1 while starting") as raised:
        process.wait_ready(lambda: False, timeout=20)
    assert "the disk is on fire" in str(raised.value)
    assert str(tmp_path / "log") in str(raised.value)
    assert process.stop() == 1


def test_a_program_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    process = start("import time; time.sleep(600)", log=tmp_path / "log")
    try:
        with pytest.raises(SetupError, match="not ready within 0 s"):
            process.wait_ready(lambda: False, timeout=0.2)
        with pytest.raises(TimeoutError, match="still runs"):
            process.wait(0.1)
    finally:
        process.stop()


def test_a_taken_port_is_named_with_a_way_out() -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(SetupError, match="--kafka-port") as raised:
            require_free_port(port, "Kafka", "--kafka-port")
    assert f"Port {port} for Kafka" in str(raised.value)
    require_free_port(port, "Kafka", "--kafka-port")


def test_free_ports_are_free() -> None:
    for _ in range(20):
        require_free_port(free_port(), "anything", "--port")


def test_a_free_port_is_none_that_an_outgoing_connection_may_get() -> None:
    ranges = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest, highest = map(int, ranges.read_text().split()) if ranges.exists() else (49_152, 65_535)
    assert not [port for port in (free_port() for _ in range(200)) if lowest <= port <= highest]
