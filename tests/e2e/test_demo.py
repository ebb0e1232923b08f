"""The demonstration as a newcomer runs it, over one month instead of four."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jobs.demo.events import BROKEN, BROKEN_EVERY
from tests.support.commands import ROOT, environment
from tests.support.eventually import SLOWEST, eventually

SCRIPT = """
from datetime import datetime, timezone
from pathlib import Path
from jobs.demo.run import demo
demo(Path(".penstock"), datetime(2013, 5, 1, tzinfo=timezone.utc))
"""
PATIENCE = 1_800.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".penstock").mkdir()
    (tmp_path / ".penstock" / "jars").symlink_to(ROOT / ".penstock" / "jars")
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Iterator[subprocess.Popen[str]]:
    (folder / "one_month.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "one_month.py"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=180)


def left_over(folder: Path) -> list[str]:
    """Return the command lines of the processes that have something to do with ``folder``."""
    result = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) or any(str(folder) in part for part in process.cmdline()):
                result.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return result


@pytest.mark.timeout(2_000)
def test_the_demonstration_swaps_under_load_and_accounts_for_every_event(
    run: subprocess.Popen[str], folder: Path
) -> None:
    out, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, out + err
    summary = json.loads((folder / "build" / "demo" / "summary.json").read_text())
    assert (summary["missing"], summary["duplicates"], summary["unexpected"]) == (0, 0, 0)
    departures = summary["predictions"]
    assert 27_000 < departures < 30_000
    assert summary["dead_letters"] == departures // BROKEN_EVERY == min(summary["dead_letters"], len(BROKEN))
    assert summary["events_in"] == departures + summary["dead_letters"]
    assert (summary["swap_from"], summary["swap_to"]) == (1, 2)
    assert summary["swap_seconds"] > 0
    assert all(part["predictions"] >= departures / 5 for part in summary["versions"].values())
    assert all(0.55 < part["auc"] < 0.9 for part in summary["versions"].values())
    assert "temp" in summary["drift"]["v1"], "April is warmer than any day of the winter that v1 learnt from"
    assert "hour" not in summary["drift"]["v1"]
    assert "temp" in (folder / "build" / "demo" / "drift.html").read_text()
    assert "build/demo/drift.html" in out
    assert "every event came out exactly once" in " ".join(out.split())
    assert "Traceback" not in err
    assert left_over(folder) == []


@pytest.mark.long
@pytest.mark.parametrize("verb", ["demo", "demo-rollout"])
def test_a_demonstration_ends_at_ctrl_c_with_one_line_and_leaves_no_process(verb: str, folder: Path) -> None:
    # A terminal sends the signal to all processes of the group.
    run = subprocess.Popen(
        [sys.executable, "-m", "penstock", verb],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    for line in run.stdout:
        if "training v1" in line:
            break
    # The JVM is at work by then.
    eventually(lambda: (folder / ".penstock" / "demo" / "train.log").stat().st_size > 0, timeout=SLOWEST)
    time.sleep(2.0)
    assert len(left_over(folder)) > 1
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=180)
    assert run.returncode == 130, out + err
    assert out.splitlines()[-1].endswith("stopping everything that was started")
    assert "Traceback" not in out + err
    eventually(lambda: not left_over(folder), timeout=30)
