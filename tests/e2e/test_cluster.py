"""The job on a standalone cluster, submitted as docs/deploy.md says: a swap and a lost worker cost nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest
from pyspark.sql import SparkSession

from jobs.build.bundle_env import write_environment
from jobs.wiring.following import preparation
from streaming.errors import ConfigurationError
from streaming.failpoints import HIT
from streaming.models.topic_schema import NoEvents
from streaming.settings import Settings
from tests.support.cluster import Cluster, Node, a_cluster
from tests.support.documents import blocks
from tests.support.eventually import eventually
from tests.support.job import Load, Outputs, assert_versions_follow, version_of
from tests.support.kafka import MakeTopic
from tests.support.site import PATIENCE, Site
from tests.support.team import Team, save_pipeline

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into processes by way of /proc")

PARTITIONS = 2
MakeSite = Callable[[Mapping[str, Any]], Site]


@pytest.fixture(scope="module")
def models(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two pipelines that say the opposite of each other, so that a prediction shows which one made it."""
    folder = tmp_path_factory.mktemp("saved")
    return {name: save_pipeline(spark, folder / name, slope) for name, slope in (("up", 1.0), ("down", -1.0))}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("dist") / "penstock-env.tar.gz"
    write_environment(archive)
    return archive


@pytest.fixture
def cluster(root: Path, tmp_path: Path) -> Iterator[Cluster]:
    with a_cluster(root / "docs" / "deploy.md", tmp_path / "cluster", workers=2) as started:
        yield started


@pytest.fixture
def team(tracking_server: str, models: dict[str, Path], tmp_path: Path) -> Team:
    made = Team(tracking_server, models["up"], tmp_path)
    assert made.publish() == 1
    return made


@pytest.fixture
def topic(make_topic: MakeTopic) -> str:
    return make_topic("features", partitions=PARTITIONS, retention_ms=-1)


@pytest.fixture
def make_site(
    root: Path, tmp_path: Path, environment: Path, cluster: Cluster, broker: str, topic: str, team: Team
) -> Iterator[MakeSite]:
    """Make the submitting machine; what is given goes into ``model``."""
    command = next(text for _, text in blocks(root / "docs" / "deploy.md", "sh") if "--archives" in text)
    made: list[Site] = []

    def make(model: Mapping[str, Any]) -> Site:
        settings = {
            "application": topic,
            "kafka": {"bootstrap.servers": broker},
            "input": {"topic": topic},
            "output": {"predictions": f"{topic}.out", "model_events": f"{topic}.models", "ledger": f"{topic}.ledger"},
            "model": {"name": team.model, "tracking_uri": team.uri, "alias": "champion", "poll_seconds": 0.5, **model},
            "engine": {"failpoints": str(tmp_path / "failpoints")},
            "http": {"enabled": False},
        }
        made.append(Site(tmp_path / "site", command, settings, **cluster.variables))
        (made[-1].folder / "dist" / environment.name).symlink_to(environment)
        return made[-1]

    yield make
    for site in made:
        site.kill()


def test_executors_elsewhere_without_a_shared_staging_area_are_refused() -> None:
    elsewhere = cast(SparkSession, SimpleNamespace(sparkContext=SimpleNamespace(master="spark://head:7077")))
    with pytest.raises(ConfigurationError, match=r"model\.staging_uri is not set, and the executors of spark://head"):
        preparation(Settings(), elsewhere, NoEvents())


@pytest.mark.long
@pytest.mark.parametrize(
    ("staging_uri", "code", "message"),
    [
        pytest.param(None, 2, "model.staging_uri is not set", id="none"),
        # Leads to another folder in each process; the cache is a plain path, which they all could read.
        pytest.param(
            "file:///proc/self/cwd/staged",
            1,
            "FILE_NOT_EXIST",
            id="one that only the driver reads",
        ),
    ],
)
def test_without_a_shared_staging_area_the_job_ends_and_says_so(
    make_site: MakeSite, staging_uri: str | None, code: int, message: str
) -> None:
    site = make_site({"staging_uri": staging_uri})
    done = subprocess.run(
        ["bash", "-ec", site.command],
        cwd=site.folder,
        env=site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert message in done.stdout, done.stdout[-5_000:]
    assert done.returncode == code


@pytest.mark.long
def test_a_swap_and_a_lost_worker_under_load_lose_double_and_mix_nothing(
    make_site: MakeSite, cluster: Cluster, tmp_path: Path, broker: str, topic: str, team: Team, models: dict[str, Path]
) -> None:
    site = make_site({"staging_uri": f"file://{tmp_path}/shared"})
    shell, driver = site.submit()
    outputs, load = Outputs(broker, topic), Load(broker, topic)
    with load:
        outputs.wait_for(load.rate)
        eventually(lambda: all(runs_from_the_archive(node) for node in cluster.workers), timeout=PATIENCE)
        team.saved = models["down"]
        better = team.publish()
        eventually(lambda: better in {version_of(r) for r in outputs.predictions.read()}, timeout=PATIENCE)
        lost = frozen_in_a_transaction(tmp_path / "failpoints", cluster.workers)
        lost.kill()
        outputs.wait_for(load.sent + load.rate)
    outputs.wait_for(load.sent)
    driver.terminate()
    assert shell.wait(180) == 0, site.log.read_text()[-3_000:]
    assert_versions_follow(outputs.account(load.delivered), 1, better)
    outputs.close()
    # The executors have an environment of their own, in which the compiled form must run, too.
    printed = site.log.read_text()
    assert printed.count('"scorer": "compiled"') == 2, printed[-3_000:]
    assert "the one pass failed" not in printed
    assert sorted(path.name.partition("-")[0] for path in (tmp_path / "shared" / team.model).iterdir()) == ["1", "2"]


def frozen_in_a_transaction(failpoints: Path, nodes: list[Node]) -> Node:
    """Stop a task that has written its output and not committed it; return its node."""
    (failpoints / HIT).mkdir(parents=True)
    (failpoints / "being written").write_text("stop")
    (failpoints / "being written").rename(failpoints / "writer.produced")
    hit = eventually(lambda: next((failpoints / HIT).iterdir(), None), timeout=PATIENCE)
    pid = int(hit.name.split(".")[-2])
    return next(node for node in nodes if pid in {process.pid for process in node.python_workers()})


def runs_from_the_archive(node: Node) -> bool:
    """Whether a task has run on this node; all its installed packages are those that Spark unpacked there."""
    mapped = {file.path for process in node.python_workers() for file in maps(process)}
    packages = [Path(path) for path in mapped if "site-packages" in path]
    strangers = [path for path in packages if not path.is_relative_to(node.folder)]
    assert strangers == []
    return any("confluent_kafka" in path.parts for path in packages)


def maps(process: psutil.Process) -> list[Any]:
    with suppress(psutil.NoSuchProcess):
        return list(process.memory_maps())
    return []
