"""What users install and submit: the wheel, beside a package of the same name, and the zip for spark-submit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.build.bundle_env import DISTRIBUTIONS, required
from streaming.version import __version__
from tests.support.commands import penstock


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-w", str(folder), str(root)], check=True)
    return next(folder.glob("penstock-*.whl"))


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; the dependencies are those of this one, by a path file."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def run(environment: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program, *arguments = command
    return subprocess.run(
        [str(environment / "bin" / program), *arguments],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_puts_only_its_own_names_at_the_top_level(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {
        "penstock.py",
        "penstock_app",
        f"penstock-{__version__}.dist-info",
    }
    assert "penstock_app/streaming/local/ivy.xml" in names
    assert any(name.startswith("penstock_app/schemas/contracts/") for name in names)
    assert f"penstock-{__version__}.dist-info/licenses/LICENSE" in names


@pytest.mark.long
def test_the_installed_command_runs_its_own_packages(environment: Path, tmp_path: Path) -> None:
    done = run(environment, "penstock", "--version", cwd=tmp_path)
    assert (done.stdout, done.returncode) == (f"penstock {__version__}\n", 0), done.stderr
    code = "import penstock, streaming; print(streaming.__file__)"
    where = run(environment, "python", "-c", code, cwd=tmp_path).stdout.strip()
    assert where == str(next(environment.glob("lib/*/site-packages/penstock_app/streaming/__init__.py")))


@pytest.fixture
def _another_streaming(environment: Path) -> Iterator[None]:
    """Another project's ``streaming``, in the environment's site-packages while a test runs."""
    other = next(environment.glob("lib/python*/site-packages")) / "streaming"
    other.mkdir()
    (other / "__init__.py").write_text("raise RuntimeError('the wrong streaming')\n")
    yield
    shutil.rmtree(other)


@pytest.mark.usefixtures("_another_streaming")
def test_another_projects_streaming_beside_it_does_not_disturb_it(environment: Path, tmp_path: Path) -> None:
    done = run(environment, "penstock", "config", "validate", cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("The configuration is valid.\n", 0), done.stderr


@pytest.mark.long
@pytest.mark.usefixtures("_another_streaming")
def test_sparks_workers_import_ours_too(environment: Path, tmp_path: Path) -> None:
    code = """
import os, sys, penstock
os.environ["PYSPARK_PYTHON"] = sys.executable
from pyspark.sql import SparkSession
def where(_):
    import streaming
    yield streaming.__file__
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
print(spark.sparkContext.parallelize([0], 1).mapPartitions(where).collect()[0])
"""
    done = run(environment, "python", "-c", code, cwd=tmp_path)
    assert done.stdout.strip().endswith("/penstock_app/streaming/__init__.py"), done.stderr


def test_a_streaming_in_the_working_directory_is_refused_by_one_sentence(environment: Path, tmp_path: Path) -> None:
    """Spark's workers would find it first."""
    (tmp_path / "streaming").mkdir()
    (tmp_path / "streaming" / "__init__.py").touch()
    done = run(environment, "penstock", "--version", cwd=tmp_path)
    assert done.returncode == 1
    assert "'streaming' would be mistaken for" in done.stderr
    assert str(tmp_path / "streaming") in done.stderr
    assert "Traceback" not in done.stderr


def test_one_that_is_loaded_already_is_refused(environment: Path, tmp_path: Path) -> None:
    code = "import sys, types; sys.modules['streaming'] = types.ModuleType('streaming'); import penstock"
    done = run(environment, "python", "-c", code, cwd=tmp_path)
    assert "would be mistaken for" in done.stderr


def test_the_bundle_holds_the_packages_and_is_the_same_each_time(root: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "app.zip", tmp_path / "b" / "app.zip"
    for target in (first, second):
        subprocess.run(
            [sys.executable, "-m", "jobs.build.bundle", str(target)], cwd=root, check=True, capture_output=True
        )
    assert first.read_bytes() == second.read_bytes()
    code = "import streaming.settings, schemas, jobs; print(streaming.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(first)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(first))


def test_the_executors_archive_imports_all_that_tasks_need_and_nothing_from_elsewhere(
    root: Path, tmp_path: Path
) -> None:
    target = tmp_path / "env.tar.gz"
    subprocess.run(
        [sys.executable, "-m", "jobs.build.bundle_env", str(target)], cwd=root, check=True, capture_output=True
    )
    with tarfile.open(target) as archive:
        archive.extractall(tmp_path / "environment")
    spark = Path(sysconfig.get_path("purelib")) / "pyspark" / "python" / "lib"
    code = """
import sys, pyspark.worker, streaming.delivery.write_order, streaming.delivery.writer
import streaming.engines.rows, streaming.engines.task, streaming.engines.prepared
import streaming.scoring.compiled.scorer, streaming.scoring.flavours.scorer, streaming.scoring.arrow_frames
import streaming.scoring.row_pass, streaming.scoring.arm_pass, streaming.scoring.routed_pass
import streaming.lookup.join, streaming.drift.tally, streaming.batch.text, streaming.training.dataset
print(*(m.__file__ for m in sys.modules.values() if "site-packages" in (getattr(m, "__file__", None) or "")), sep="\\n")
"""
    done = subprocess.run(
        [str(tmp_path / "environment" / "bin" / "python"), "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join([*map(str, spark.glob("*.zip")), str(root)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    packages = [Path(line) for line in done.stdout.splitlines() if ".zip/" not in line]
    assert {"confluent_kafka", "jiter", "msgspec", "pyarrow"} <= {part for path in packages for part in path.parts}
    assert all(path.is_relative_to(tmp_path / "environment") for path in packages)


def test_the_executors_archive_takes_a_library_with_all_that_it_requires() -> None:
    added = required([*DISTRIBUTIONS, "lightgbm"]) - required(DISTRIBUTIONS)
    assert {"lightgbm", "scipy"} <= added
    assert "scikit-learn" not in added, "only an extra of LightGBM's requires it"


def test_in_the_checkout_the_command_works_from_any_folder(tmp_path: Path) -> None:
    done = penstock("--version", cwd=tmp_path)
    assert (done.stdout, done.returncode) == (f"penstock {__version__}\n", 0), done.stderr
