"""SIGTERM while a command starts: an orderly 0 for a job, 143 for work that is not done."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from jobs.process.stopping import StopRequest, ending_in_order, unless_asked
from streaming.errors import BrokerUnavailableError
from tests.support.commands import command, environment
from tests.support.eventually import SLOWEST, eventually

NO_KAFKA = ["--set", "kafka.bootstrap.servers=127.0.0.1:1", "--set", "model.tracking_uri=http://127.0.0.1:1"]


def imports(pid: int) -> bool:
    """Return whether the job has come to the imports that take seconds."""
    return "/numpy/" in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.long
def test_a_job_that_is_stopped_while_it_starts_ends_in_order(tmp_path: Path) -> None:
    """Both at once, as each asks Kafka for 15 s."""
    verbs = ["score", "drift run"]
    started = [
        subprocess.Popen(command(*verb.split(), *NO_KAFKA), cwd=tmp_path, env=environment(), stderr=subprocess.PIPE)
        for verb in verbs
    ]
    for process in started:
        eventually(lambda pid=process.pid: imports(pid), timeout=SLOWEST)  # type: ignore[misc]
        process.terminate()
    for process in started:
        _, output = process.communicate(timeout=180)
        assert process.returncode == 0, output.decode()
        assert b"stopped while a service did not answer" in output


def test_work_that_is_not_done_is_closed_in_order_and_ends_with_143() -> None:
    closed = []
    with pytest.raises(SystemExit) as ended, ending_in_order():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            closed.append(True)
    assert (ended.value.code, closed) == (143, [True])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_service_that_is_away_is_no_failure_of_a_job_that_was_asked_to_stop() -> None:
    stopping = StopRequest(None, lambda _code: None)
    with pytest.raises(BrokerUnavailableError), unless_asked(stopping):
        raise BrokerUnavailableError("away")
    stopping.ask()
    assert stopping.asked.wait(30)
    with unless_asked(stopping):
        raise BrokerUnavailableError("away")
