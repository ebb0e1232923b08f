"""``penstock up`` and ``down``, as a user runs them."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from streaming.local.broker import answers as broker_answers
from streaming.local.processes import free_port
from streaming.local.tracking import answers as tracking_answers
from tests.support.commands import command, environment, penstock
from tests.support.eventually import SLOWEST, eventually

Ports = tuple[int, int]


@pytest.fixture
def home(root: Path, tmp_path: Path) -> Iterator[Path]:
    """A home of its own that shares the checkout's jars; what a failed test leaves running is stopped."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "jars").symlink_to(root / ".penstock" / "jars")
    yield folder
    penstock("down", "--home", str(folder))


@pytest.fixture
def ports() -> Ports:
    return free_port(), free_port()


def up(home: Path, ports: Ports, *more: str) -> list[str]:
    return ["up", "--home", str(home), "--kafka-port", str(ports[0]), "--mlflow-port", str(ports[1]), *more]


def both_answer(ports: Ports) -> bool:
    return broker_answers(ports[0]) and tracking_answers(f"http://127.0.0.1:{ports[1]}")


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def assert_all_gone(processes: list[psutil.Process]) -> None:
    assert psutil.wait_procs(processes, timeout=15)[1] == []


def interrupt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)


def terminate(process: subprocess.Popen[bytes]) -> None:
    process.terminate()


@pytest.mark.long
@pytest.mark.parametrize("end", [interrupt, terminate], ids=["Ctrl-C", "SIGTERM"])
def test_in_the_foreground_it_prints_the_addresses_and_leaves_nothing_behind(
    home: Path, ports: Ports, tmp_path: Path, end: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    log = tmp_path / "output"
    with log.open("wb") as out, subprocess.Popen(command(*up(home, ports)), env=environment(), stdout=out) as process:
        eventually(lambda: "Ctrl-C stops both" in log.read_text(), timeout=SLOWEST)
        assert both_answer(ports)
        started = family(process.pid)
        end(process)
        assert process.wait(180) == 0

    assert_all_gone(started)
    assert f"KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:{ports[0]}" in log.read_text()
    assert f"MLFLOW_TRACKING_URI=http://127.0.0.1:{ports[1]}" in log.read_text()
    assert not (home / "up.json").exists()


@pytest.mark.long
def test_detached_it_returns_when_both_answer_and_down_stops_them(home: Path, ports: Ports) -> None:
    done = penstock(*up(home, ports, "--detach"), timeout=240)
    assert done.returncode == 0, done.stderr
    assert both_answer(ports)
    started = family(json.loads((home / "up.json").read_text())["pid"])

    again = penstock(*up(home, ports))
    assert again.returncode == 2
    assert "run already" in again.stderr

    assert penstock("down", "--home", str(home)).returncode == 0
    assert_all_gone(started)
    assert "Nothing is running" in penstock("down", "--home", str(home)).stdout


@pytest.mark.long
def test_killed_it_leaves_no_orphan_and_can_start_again(home: Path, ports: Ports) -> None:
    assert penstock(*up(home, ports, "--detach"), timeout=240).returncode == 0
    started = family(json.loads((home / "up.json").read_text())["pid"])
    started[0].kill()
    assert_all_gone(started)

    assert penstock(*up(home, ports, "--detach"), timeout=240).returncode == 0
    assert both_answer(ports)


@pytest.mark.long
def test_a_service_that_dies_ends_the_command_with_its_log(home: Path, ports: Ports, tmp_path: Path) -> None:
    log = tmp_path / "output"
    with log.open("wb") as out:
        process = subprocess.Popen(command(*up(home, ports)), env=environment(), stdout=out, stderr=out)
        eventually(lambda: "Ctrl-C stops both" in log.read_text(), timeout=SLOWEST)
        started = family(process.pid)
        # The leash that holds it has the same words in its command line; killed, it would leave the broker behind.
        java = next(child for child in started if child.name() == "java" and "kafka.Kafka" in child.cmdline())
        java.kill()
        assert process.wait(180) == 2
        assert_all_gone(started)
    assert "The broker ended with code" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_taken_port_stops_it_before_anything_starts(home: Path) -> None:
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        done = penstock(*up(home, (holder.getsockname()[1], free_port())))
    assert done.returncode == 2
    assert "--kafka-port" in done.stderr
    assert "Traceback" not in done.stderr
