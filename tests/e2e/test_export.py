"""A version exported as a user exports it: from the registry, by the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.commands import penstock
from tests.support.late_flights import saved
from tests.support.team import Team

COLUMNS = [("string", "carrier", True), ("long", "hour", True), ("double", "temp", False)]


@pytest.fixture
def team(tracking_server: str, tmp_path: Path) -> Team:
    tree = tmp_path / "tree"
    saved(tree)
    inputs = [{"type": kind, "name": name, "required": required} for kind, name, required in COLUMNS]
    description = {
        "flavors": {"spark": {"model_data": "model", "pyspark_version": "4.2.0", "code": None}},
        "signature": {"inputs": json.dumps(inputs)},
    }
    (tree / "MLmodel").write_text(yaml.safe_dump(description))
    made = Team(tracking_server, tree, tmp_path)
    made.publish()
    return made


def export(team: Team, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    set_ = ["--set", f"model.name={team.model}"]
    return penstock("export", *set_, *arguments, cwd=folder, extra={"MLFLOW_TRACKING_URI": team.uri})


def test_the_champion_is_exported_and_its_example_runs(team: Team, tmp_path: Path) -> None:
    done = export(team, tmp_path, "--out", "edge", "--json", "report.json")
    assert done.returncode == 0, done.stderr
    assert f"{team.model} v1 is in edge" in done.stdout
    assert "0/10,000" in done.stdout
    assert "no int8: eight bits make nothing smaller" in done.stdout
    written = json.loads((tmp_path / "edge" / "report.json").read_text())
    assert json.loads((tmp_path / "report.json").read_text()) == {"folder": "edge", **written}
    example = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "edge" / "example.py")], capture_output=True, text=True, check=True
    )
    assert example.stdout.startswith("prediction [")


@pytest.mark.long
def test_a_variant_that_does_not_exist_is_refused_and_nothing_is_written(team: Team, tmp_path: Path) -> None:
    done = export(team, tmp_path, "--out", "edge", "--model-version", "1", "--precision", "int8")
    assert done.returncode == 1
    assert "eight bits make nothing smaller" in done.stderr
    assert not (tmp_path / "edge").exists()
    assert list(tmp_path.glob(".edge*")) == []
