"""The demonstration of a rollout, as somebody runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT, environment

PATIENCE = 1_200.0


@pytest.mark.long
@pytest.mark.timeout(PATIENCE + 60)
def test_a_better_version_is_promoted_and_a_bad_one_goes_back_and_is_repaired(tmp_path: Path) -> None:
    (tmp_path / ".penstock").mkdir()
    (tmp_path / ".penstock" / "jars").symlink_to(ROOT / ".penstock" / "jars")
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "demo-rollout"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "build" / "demo-rollout" / "summary.json").read_text())
    assert summary["promoted"]
    assert summary["rolled_back"]
    assert (summary["missing"], summary["duplicates"]) == (0, 0)
    assert 100 <= summary["labelled_events_to_rollback"] <= 250
    assert summary["repaired"] == summary["events_under_bad_version"] > 0
