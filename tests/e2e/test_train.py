"""Training as a user runs it: a process, a file of their own, a real tracking server."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from pyspark.sql import SparkSession

from jobs.configuration.load import load_settings
from jobs.verbs.train import run as train_verb
from streaming.adapters.mlflow.registry import MlflowRegistry
from streaming.errors import ConfigurationError
from streaming.local.processes import free_port
from streaming.models import profile
from streaming.models.cache import CachedModel
from streaming.models.digest import tree_digest
from streaming.models.profile import ReferenceProfile
from streaming.models.reader import PackageReader
from streaming.models.ref import ModelSelector
from streaming.scoring.loader import SparkPipelineLoader
from streaming.settings import EventSettings, ModelSettings
from tests.support.commands import penstock
from tests.support.rides import ride_settings, rides

PATIENCE = 300.0


def configured(folder: Path) -> Path:
    """Write rides and a configuration that trains on them; the model is named after the folder."""
    rides().to_csv(folder / "rides.csv", index=False)
    train = ride_settings(data="rides.csv").model_dump(mode="json", exclude_unset=True)
    path = folder / "penstock.yaml"
    path.write_text(yaml.safe_dump({"model": {"name": folder.name}, "train": train}))
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return configured(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tracking_server: str) -> tuple[Path, str]:
    """A configuration with which a first version was trained, and what that printed."""
    path = configured(tmp_path_factory.mktemp("trained"))
    done = train(path, tracking_server, "--alias", "champion", "--stage", "Production")
    assert done.returncode == 0, done.stderr
    return path, done.stdout + done.stderr


def train(config: Path, tracking_uri: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ("train", "--config", str(config), *arguments)
    return penstock(*command, cwd=config.parent, extra={"MLFLOW_TRACKING_URI": tracking_uri}, timeout=PATIENCE)


@pytest.mark.long
def test_a_users_own_file_becomes_a_version_that_passes_every_check(
    trained: tuple[Path, str], tracking_server: str, spark: SparkSession, tmp_path: Path
) -> None:
    name, printed = trained[0].parent.name, trained[1]
    assert f"{name} v1, alias champion, stage Production" in " ".join(printed.split())
    assert "WARN" not in printed

    registry = MlflowRegistry(tracking_server, 10.0)
    version = registry.resolve(ModelSelector(name, "alias", "champion"))
    assert registry.resolve(ModelSelector(name, "stage", "Production")).version == version.version == 1
    target = tmp_path / "downloaded"
    target.mkdir()
    registry.download(version, target)
    assert version.tags["penstock.digest"] == tree_digest(target)

    cached = CachedModel(target, version, version.tags["penstock.digest"])
    package = PackageReader(ModelSettings(name=name), spark.version).read(cached, ["spark"])
    assert {c.name: c.required for c in package.signature.columns}["humidity"] is False
    assert package.profile is not None
    assert package.profile.rows == 400
    assert package.golden is not None
    assert len(package.golden.rows) == 8
    SparkPipelineLoader(spark, EventSettings(), 65_536).load(package, package.pipeline_dir.as_uri())

    run = MlflowClient(tracking_server).get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert {"accuracy", "precision", "recall", "f1", "auc", "pr_auc", "log_loss"} == set(run.data.metrics)
    assert run.data.params["algorithm"] == "logistic_regression"
    assert run.data.tags["penstock.data.digest"].startswith("sha256:")
    assert run.data.tags["penstock.data.to"] == "2024-01-01T06:39:00.000Z"


def test_a_training_that_fails_is_marked_as_failed_and_registers_nothing(
    config: Path, tracking_server: str, spark: SparkSession, tmp_path: Path
) -> None:
    own = {**refused(tmp_path), "model.tracking_uri": tracking_server, "train.data": str(tmp_path / "rides.csv")}
    settings = load_settings(config, [f"{name}={value}" for name, value in own.items()])
    with pytest.raises(ConfigurationError, match=f"{WHY}.*regParam given invalid value -1"):
        train_verb.train_version(settings, spark, lambda _step: None)
    assert_marked_as_failed(tracking_server, tmp_path)


@pytest.mark.long
def test_a_run_that_fails_says_why_is_marked_as_failed_and_registers_nothing(
    config: Path, tracking_server: str, tmp_path: Path
) -> None:
    options = [part for name, value in refused(tmp_path).items() for part in ("--set", f"{name}={value}")]
    done = train(config, tracking_server, *options)
    assert done.returncode == 2
    assert WHY in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert_marked_as_failed(tracking_server, tmp_path)


def refused(folder: Path) -> dict[str, str]:
    """Settings with which the training fails in its run, which is in an experiment named after the folder."""
    return {"train.parameters": "{regParam: -1.0}", "train.experiment": str(folder)}


WHY = "Spark cannot train logistic_regression by train.parameters: "


def assert_marked_as_failed(tracking_server: str, folder: Path) -> None:
    """The experiment has one run, which failed, and no version came of it."""
    client = MlflowClient(tracking_server)
    experiment = client.get_experiment_by_name(str(folder))
    assert experiment is not None
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["FAILED"]
    assert not client.search_model_versions(f"name = '{folder.name}'")


def test_without_an_address_of_a_server_nothing_is_written(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(config.parent)
    with pytest.raises(ConfigurationError, match=r"no tracking server: set model\.tracking_uri"):
        train_verb.train(config, [])
    assert {path.name for path in config.parent.iterdir()} == {"rides.csv", "penstock.yaml"}


def test_a_misspelt_parameter_is_said_before_anything_is_asked_or_read(config: Path) -> None:
    nowhere = f"model.tracking_uri=http://127.0.0.1:{free_port()}"
    with pytest.raises(ConfigurationError, match=r"train\.parameters\.maxItr is not a parameter of LogisticRegression"):
        train_verb.train(config, [nowhere, "train.parameters={maxItr: 5}"])


@pytest.mark.long
def test_without_a_server_nothing_is_written_anywhere(config: Path) -> None:
    done = train(config, "")
    assert done.returncode == 2
    assert "no tracking server: set model.tracking_uri" in " ".join(done.stderr.split())
    assert {path.name for path in config.parent.iterdir()} == {"rides.csv", "penstock.yaml"}


@pytest.mark.long
def test_a_server_that_is_not_there_is_said_soon(config: Path) -> None:
    began = time.monotonic()
    done = train(config, f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 4
    assert "Check model.tracking_uri" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 120


@pytest.mark.long
def test_a_version_without_a_reference_gets_one_by_a_baseline(
    trained: tuple[Path, str], tracking_server: str, tmp_path: Path
) -> None:
    config = trained[0]
    name = config.parent.name
    arguments = ["--in", "rides.csv", "--model-version", "1", "--alias", "watched"]
    names = ["--set", "event.id=ride", "--set", "event.time=at", "--set", "drift.window_seconds=3600"]
    done = penstock(
        "drift", "baseline", "--config", str(config), *arguments, *names,
        cwd=config.parent, extra={"MLFLOW_TRACKING_URI": tracking_server}, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"Registered {name} v2 with a reference profile, alias watched." in done.stdout
    registry = MlflowRegistry(tracking_server, 10.0)
    version = registry.resolve(ModelSelector(name, "alias", "watched"))
    target = tmp_path / "downloaded"
    target.mkdir()
    registry.download(version, target)
    assert version.tags["penstock.baseline_of"] == "1"
    assert version.tags["penstock.digest"] == tree_digest(target)
    made = ReferenceProfile.from_json((target / profile.PATH).read_text())
    assert (made.rows, made.window_seconds) == (400, 3600)
    columns = {column.name: column for column in made.columns}
    assert set(columns) == {"km", "seats", "humidity", "city", "sky", "prediction", "confidence"}
    assert len(columns["km"].windows) == 7, "400 minutes are seven hours, the last not whole"
    assert columns["prediction"].edges == (1.0,)
    assert columns["humidity"].counts[profile.NULL_BIN] == 58
