"""A peer that is not installed is left out and named; one that is gets its task whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers import environments, flink_jar
from benchmarks.peers.environments import Environment
from benchmarks.peers.systems import KINDS, systems, versions
from benchmarks.peers.task import Task, given_task
from streaming.errors import SetupError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Environments that are all still to be made."""
    monkeypatch.setattr(environments, "HOME", tmp_path)
    monkeypatch.setattr(flink_jar, "FOLDER", tmp_path / "flink-jars")
    return tmp_path


def install(name: str) -> Environment:
    """Make it look installed: with the metadata of its packages, and stamped."""
    place = Environment(name)
    place.packages.mkdir(parents=True)
    for line in place.requirements.read_text().splitlines()[1:]:
        package, version = line.split("==")
        folder = place.packages / f"{package.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (place.folder / ".stamp").write_text(place.fingerprint())
    return place


@pytest.mark.usefixtures("home")
def test_a_peer_that_is_not_installed_is_left_out_with_what_to_do() -> None:
    output: list[str] = []
    result = {system.name for system in systems(output.append)}
    assert result == {kind.name for kind in KINDS if kind.environment is None}
    assert len(output) == len(KINDS) - len(result)
    assert all("make bench-peers" in line for line in output)


@pytest.mark.usefixtures("home")
def test_an_installed_peer_states_the_versions_of_its_own_environment() -> None:
    install("quix")
    result = {system.name: system for system in systems(lambda _: None)}
    pinned = dict(line.split("==") for line in Environment("quix").requirements.read_text().splitlines()[1:])
    expected = f"quixstreams {pinned['quixstreams']}, onnxruntime {pinned['onnxruntime']}"
    assert (result["quix"].version, result["quix"].delivery) == (expected, "at-least-once")
    assert (result["quix-eos"].version, result["quix-eos"].delivery) == (expected, "exactly-once")


@pytest.mark.usefixtures("home")
def test_flink_without_its_connector_is_left_out() -> None:
    install("flink")
    output: list[str] = []
    assert "pyflink" not in {system.name for system in systems(output.append)}
    assert any(line.startswith("pyflink") and "connector" in line for line in output)


@pytest.mark.usefixtures("home")
def test_an_environment_of_other_requirements_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = install("quix")
    place.check()
    monkeypatch.setattr(environments, "REQUIREMENTS", tmp_path)
    place.requirements.write_text("quixstreams==0.0.1\n")
    with pytest.raises(SetupError, match="has changed"):
        place.check()


def test_a_task_arrives_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task("127.0.0.1:9092", "in", "out", "/model", "/own folder", 'a "name"', exactly_once=True)
    monkeypatch.setattr("sys.argv", ["peer", task.to_json()])
    assert given_task() == task


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="quixstreams"):
        versions(["quixstreams"], [str(tmp_path)])
