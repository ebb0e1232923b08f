"""Failpoints: each armed file is taken once, by whoever comes first, and does what it says."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streaming.failpoints import HIT, NAMES, Failpoints

REACH = "import sys; from streaming.failpoints import Failpoints; Failpoints(sys.argv[1]).reach('writer.began')"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / HIT).mkdir()
    return tmp_path


def hits(folder: Path) -> list[str]:
    return sorted(path.name.rsplit(".", 2)[0] for path in (folder / HIT).iterdir())


def test_nothing_happens_where_nothing_is_armed(folder: Path) -> None:
    for name in NAMES:
        Failpoints().reach(name)
        Failpoints(str(folder)).reach(name)
    assert hits(folder) == []


def test_an_armed_failpoint_fails_once_and_is_counted(folder: Path) -> None:
    (folder / "writer.began").write_text("raise")
    with pytest.raises(RuntimeError, match=r"failpoint writer\.began"):
        Failpoints(str(folder)).reach("writer.began")
    Failpoints(str(folder)).reach("writer.began")
    assert hits(folder) == ["writer.began"]


def test_the_process_that_reaches_it_is_killed(folder: Path, root: Path) -> None:
    (folder / "writer.began").write_text("kill")
    done = subprocess.run([sys.executable, "-c", REACH, str(folder)], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert hits(folder) == ["writer.began"]
