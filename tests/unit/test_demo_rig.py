from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from jobs.demo.rig import fresh_folder, interrupted_once, require_alive
from streaming.errors import SetupError
from streaming.local.processes import ManagedProcess


def test_a_child_that_ended_is_reported_with_the_end_of_its_log_and_where_it_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no such topic'); raise SystemExit(3)"]
    child = ManagedProcess("scoring job", command, log=tmp_path / "score.log", environment=os.environ)
    child.wait(20)
    with pytest.raises(SetupError, match=r"scoring job ended with code 3.*score\.log\):\nno such topic") as caught:
        require_alive(child)
    assert caught.value.exit_code == 2
    child.stop()


def test_each_run_begins_with_an_empty_folder(tmp_path: Path) -> None:
    (fresh_folder(tmp_path) / "old").write_text("x")
    assert list(fresh_folder(tmp_path).iterdir()) == []


def test_the_first_signal_ends_the_block_and_no_later_one_disturbs_the_cleaning_up() -> None:
    before = signal.getsignal(signal.SIGTERM)
    output: list[str] = []

    def interrupted_twice() -> None:
        with interrupted_once(output.append):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                output.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        interrupted_twice()
    assert output == ["stopping everything that was started", "cleaned up"]
    assert signal.getsignal(signal.SIGTERM) is before
