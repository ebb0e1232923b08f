"""What subscribers may copy in Java assigns events as Penstock does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from streaming.local.java import find_java

ROOT = Path(__file__).resolve().parents[2]
VECTORS = json.loads((ROOT / "schemas" / "contracts" / "rollout_assignment.json").read_text())["examples"]


def line(vector: dict[str, Any]) -> str:
    intervals = ",".join(f"{interval['arm']}={interval['end']}" for interval in vector["intervals"])
    key = "null" if vector["key"] is None else vector["key"]
    return "\t".join((vector["salt"], key, vector["event_id"], intervals))


def test_the_java_example_gives_the_points_and_arms_of_the_test_vectors() -> None:
    program = ROOT / "docs" / "examples" / "RolloutAssignment.java"
    done = subprocess.run(
        [find_java(os.environ), str(program)],
        input="".join(f"{line(vector)}\n" for vector in VECTORS),
        capture_output=True,
        encoding="utf-8",
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{vector['point']}\t{vector['arm']}" for vector in VECTORS]
