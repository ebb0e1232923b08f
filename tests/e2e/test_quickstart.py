"""The quickstart's two ways of logging a model, run as they are printed, give versions that may serve its events."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from jobs.configuration.load import load_settings
from streaming.adapters.mlflow.registry import MlflowRegistry
from streaming.models.cache import CachedModel
from streaming.models.package import ModelPackage
from streaming.models.reader import PackageReader
from streaming.models.ref import ModelSelector, ModelVersion
from streaming.scoring.loader import SparkPipelineLoader
from streaming.settings import Settings
from tests.support.commands import ROOT, environment
from tests.support.documents import blocks

pytestmark = pytest.mark.long  # a unit test compiles the page's code and checks its configuration

PAGE = ROOT / "docs" / "quickstart.md"
PLAIN, FULL = 1, 2


@pytest.fixture(scope="module")
def logged(tracking_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The registry, after the reader has logged the model plainly and then with golden rows and profile."""
    folder = tmp_path_factory.mktemp("reader")
    training = [text for _, text in blocks(PAGE, "python") if "mlflow" in text]
    (folder / "train.py").write_text("\n".join(training))
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=folder,
        env=environment(MLFLOW_TRACKING_URI=tracking_server, PYSPARK_PYTHON=sys.executable),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    return tracking_server


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The page's own configuration."""
    path = tmp_path_factory.mktemp("settings") / "rides.yaml"
    path.write_text(next(text for _, text in blocks(PAGE, "yaml")))
    assert yaml.safe_load(path.read_text())["application"] == "rides"
    return load_settings(path, [], {})


def described(uri: str, number: int, settings: Settings, target: Path, spark: SparkSession) -> ModelPackage:
    target.mkdir()
    registry = MlflowRegistry(uri, 10.0)
    version: ModelVersion = registry.get(settings.model.name, number)
    registry.download(version, target)
    return PackageReader(settings.model, spark.version).read(CachedModel(target, version, "0" * 64), ["spark"])


@pytest.mark.parametrize(("number", "golden", "profiled"), [(PLAIN, 0, []), (FULL, 2, ["sky", "km"])])
def test_the_version_passes_every_check(
    logged: str, settings: Settings, spark: SparkSession, tmp_path: Path, number: int, golden: int, profiled: list[str]
) -> None:
    package = described(logged, number, settings, tmp_path / "files", spark)
    assert package.signature.names == ("sky", "km")
    assert len(package.golden.rows if package.golden else ()) == golden
    columns = package.profile.columns[:2] if package.profile else ()
    assert [column.name for column in columns] == profiled
    loader = SparkPipelineLoader(spark, settings.event, settings.input.max_value_bytes)
    loader.load(package, package.pipeline_dir.as_uri()).scorer.release()


def test_the_alias_is_at_the_last_one(logged: str, settings: Settings) -> None:
    result = MlflowRegistry(logged, 10.0).resolve(ModelSelector.from_settings(settings.model))
    assert result.version == FULL
