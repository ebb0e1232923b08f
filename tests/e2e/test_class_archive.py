"""A session of Penstock's own starts with the archive of classes that set-up has made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.wiring.class_archive import prepare_archive
from tests.conftest import ROOT
from tests.support.commands import environment

SCRIPT = """\
from pathlib import Path

from jobs.wiring.session import session
from streaming.settings import Settings

with session(Settings(), "archived", Path("spark.log")) as spark:
    jvm = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
    print(".jsa" in Path(f"/proc/{jvm}/maps").read_text().replace("classes.jsa", ""))
    print(spark.range(3).count())
"""


@pytest.fixture(scope="module")
def archived() -> None:
    """``make test`` has made it; where a single test runs, it is made here, once for this checkout."""
    prepare_archive(ROOT / ".penstock")


@pytest.mark.long
@pytest.mark.usefixtures("archived")
def test_a_session_maps_the_archive_and_answers(tmp_path: Path) -> None:
    (tmp_path / ".penstock").symlink_to(ROOT / ".penstock")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.stdout.split() == ["True", "3"], done.stderr
