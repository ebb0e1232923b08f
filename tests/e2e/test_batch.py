"""Files scored as a user scores them: killed and gone on with, recorded in MLflow, tried out, and refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from pyspark.sql import SparkSession
from rich.console import Console

from jobs.verbs.batch.options import BatchOptions
from jobs.verbs.batch.run import Work, loaded, look, score, try_out
from streaming.adapters.kafka.ledger_tail import append_record
from streaming.batch.publish import REPORT
from streaming.batch.staging import Staging
from streaming.clock import isoformat, system_clock
from streaming.errors import ConfigurationError
from streaming.models.ref import ModelKey
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE, ArmIntervals
from streaming.rollout.plan import RolloutPlan, RolloutStep
from streaming.rollout.records import Declaration, Transition, Weights
from streaming.rollout.states import RolloutPhase, RolloutState, RolloutTime
from streaming.settings import Settings
from tests.support.commands import command, environment, penstock
from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic
from tests.support.team import Team, save_pipeline

UNITS, ROWS = 3, 500
"""One unit that was finished, one in which the run is killed, and one that was not begun."""
LAST = UNITS - 1
PATIENCE = 600.0


@pytest.fixture(scope="module")
def saved(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pipeline(spark, tmp_path_factory.mktemp("saved") / "model")


@pytest.fixture
def team(tracking_server: str, saved: Path, tmp_path: Path) -> Team:
    made = Team(tracking_server, saved, tmp_path)
    made.publish()
    return made


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Files of events whose distances say which file and row they are; every hundredth has none."""
    (tmp_path / "in").mkdir()
    for unit in range(UNITS):
        write(tmp_path / "in" / f"{unit}.parquet", unit)
    return tmp_path / "in"


def write(path: Path, unit: int) -> None:
    numbers = [unit * ROWS + row for row in range(ROWS)]
    columns: dict[str, Any] = {
        "event_id": [f"e{number}" for number in numbers],
        "event_time": ["2013-01-01T05:15:00Z"] * ROWS,
        "carrier": ["UA"] * ROWS,
        "distance": [None if number % 100 == 0 else float(number % 97) for number in numbers],
    }
    pq.write_table(pa.table(columns), path)


def read(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.long
@pytest.mark.timeout(2 * PATIENCE + 60)
def test_a_run_that_is_killed_goes_on_and_no_row_is_lost_or_scored_again(
    team: Team, inputs: Path, tmp_path: Path
) -> None:
    arguments = ["batch", "--in", "in", "--out", "scored", "--keep", "distance"]
    arguments += ["--set", f"model.name={team.model}", "--set", "batch.unit_bytes=1"]
    with killed_after_a_unit(arguments, team, tmp_path) as staging:
        finished = {path: path.stat().st_mtime_ns for path in staging.glob("unit-*/scored/*.parquet")}
        assert not (tmp_path / "scored").exists()
    done = penstock(*arguments, cwd=tmp_path, extra={"MLFLOW_TRACKING_URI": team.uri}, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "units were finished before" in done.stdout

    scored, rejected = read(tmp_path / "scored"), read(tmp_path / "scored.rejected")
    ids = [row["event_id"] for row in (*scored, *rejected)]
    assert sorted(ids) == sorted(f"e{number}" for number in range(UNITS * ROWS))
    assert {row["event_id"] for row in rejected} == {f"e{number}" for number in range(0, UNITS * ROWS, 100)}
    assert all(row["prediction"] == (row["distance"] > 50) for row in scored if abs(row["distance"] - 50) > 2)
    published = {path.stat().st_mtime_ns for path in (tmp_path / "scored").glob("*.parquet")}
    assert published >= set(finished.values()), "a finished unit was scored again"
    assert len({row["batch_id"] for row in scored}) == 1
    assert not list(tmp_path.glob(".scored*"))
    recorded(team, json.loads((tmp_path / "scored" / REPORT).read_text()))


@contextmanager
def killed_after_a_unit(arguments: list[str], team: Team, folder: Path) -> Iterator[Path]:
    """Run the command and kill it as soon as its first unit is finished; yield its staging folder."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command(*arguments), cwd=folder, env=environment(MLFLOW_TRACKING_URI=team.uri), stdout=log, stderr=log
        )

    def first_unit() -> Path | None:
        assert process.poll() is None or pytest.fail((folder / "log").read_text()[-3_000:])
        return next(folder.glob(".scored.penstock-*/unit-*"), None)

    try:
        unit = eventually(first_unit, timeout=PATIENCE, every=0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    yield unit.parent


def recorded(team: Team, report: dict[str, Any]) -> None:
    """What is beside the files is what the MLflow run says."""
    run = MlflowClient(team.uri).get_run(report["run_id"])
    assert run.info.status == "FINISHED"
    rejected = UNITS * ROWS // 100
    assert report["rejected"] == {"MISSING_FIELD": rejected}
    expected = {"rows": UNITS * ROWS, "rejected": rejected, "rejected.MISSING_FIELD": rejected}
    assert {name: run.data.metrics[name] for name in expected} == expected
    assert {"score_p50", "duration_seconds", "rows_per_second"} <= set(run.data.metrics)
    assert (run.data.params["version"], run.data.params["input_digest"]) == ("1", report["input_digest"])
    assert run.data.tags["penstock.batch.id"] == report["batch"]


class Desk:
    """Somebody who gives one order after the other in this process, with the tests' own Spark."""

    def __init__(self, spark: SparkSession, team: Team, inputs: Path) -> None:
        self.settings = Settings.model_validate(
            {
                "model": {"name": team.model, "tracking_uri": team.uri, "cache_dir": str(inputs.parent / "cache")},
                "batch": {"unit_bytes": 1},
            }
        )
        self.spark = spark
        self.out = inputs.parent / "out"
        self.order = BatchOptions(str(inputs), str(self.out), name="b1")

    @contextmanager
    def work(self, **changes: Any) -> Iterator[Work]:
        with loaded(look(self.settings, replace(self.order, **changes)), self.spark) as work:
            yield work

    def score(self, **changes: Any) -> str:
        console = Console(file=StringIO(), width=200)
        with self.work(**changes) as work:
            score(work, console)
        return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.fixture
def desk(spark: SparkSession, team: Team, inputs: Path) -> Desk:
    return Desk(spark, team, inputs)


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(desk: Desk) -> None:
    console = Console(file=StringIO(), width=200)
    before = sorted(desk.out.parent.rglob("in/*"))
    with desk.work() as work:
        try_out(work, console)
    output = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "495 would be scored" in output
    assert "MISSING_FIELD:distance │ 5 would be rejected" in output
    assert sorted(desk.out.parent.rglob("in/*")) == before
    assert not list(desk.out.parent.glob("*out*"))


@pytest.mark.long
def test_a_dry_run_says_how_the_files_differ_and_a_file_that_does_not_fit_is_named(desk: Desk, inputs: Path) -> None:
    rows = pq.read_table(inputs / f"{LAST}.parquet")
    pq.write_table(rows.append_column("gust", [[1.5] * ROWS]), inputs / f"{LAST}.parquet")
    console = Console(file=StringIO(), width=200)
    with desk.work() as work:
        try_out(work, console)
    output = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"the files differ: {LAST} of {UNITS} files have no column gust" in output
    assert f"no column gust, the first is {inputs}/0.parquet; it is null" in output
    pq.write_table(rows.drop_columns("distance"), inputs / f"{LAST}.parquet")
    message = rf"{inputs}/{LAST}\.parquet has no column distance, which every row must"
    with pytest.raises(ConfigurationError, match=message):
        desk.score()
    assert not list(desk.out.parent.glob("*out*"))


def test_a_batch_that_has_changed_since_it_was_begun_is_refused(desk: Desk, team: Team, inputs: Path) -> None:
    with desk.work() as work:
        begun = Staging.open(desk.out, "b1")
        begun.begin(work.plan)
        begun.close()
    write(inputs / "0.parquet", 7)
    with pytest.raises(ConfigurationError, match=r"the input .*/0\.parquet has changed"):
        desk.score()
    write(inputs / "0.parquet", 0)
    team.publish()
    with pytest.raises(ConfigurationError, match=f"with {team.model} v1, and now it is {team.model} v2"):
        desk.score()
    assert f"batch b1, {team.model} v1" in desk.score(model_version=1)


@pytest.mark.long
def test_a_published_batch_is_replaced_only_when_that_is_asked_for(desk: Desk, team: Team) -> None:
    desk.score()
    with pytest.raises(ConfigurationError, match="--overwrite"):
        desk.score(name="b2")
    team.publish()
    desk.score(name="b2", overwrite=True, partition_by=("risk_category",))
    result = pq.read_table(desk.out)
    assert set(result["batch_id"].to_pylist()) == {"b2"}
    assert set(result["model_version"].to_pylist()) == {2}
    assert {path.name for path in desk.out.parent.glob("*out*")} == {"out", "out.rejected"}


@pytest.mark.long
def test_rows_are_divided_by_the_step_of_the_rollout_with_which_the_batch_was_begun(
    desk: Desk, team: Team, broker: str, make_topic: MakeTopic
) -> None:
    team.publish()
    kafka, application = {"bootstrap.servers": broker}, f"app-{team.model}"
    own = {"application": application, "kafka": kafka, "output": {"ledger": make_topic("ledger", 1)}}
    desk.settings = Settings.model_validate({**desk.settings.model_dump(exclude_unset=True), **own})
    half, now = ALL_CHAMPION.changed_to({CANDIDATE: 0.5}), system_clock()
    step = RolloutStep(0.5, {"candidate events": 9})
    declared = Declaration(
        name="f-2",
        application=application,
        candidate=ModelKey(team.model, 2),
        salt="f-2",
        plan=RolloutPlan((step,), probation=replace(step, share=1.0)),
        at=isoformat(now),
    )

    def moved_to(number: int, phase: RolloutPhase, intervals: ArmIntervals) -> None:
        state = RolloutState(phase, 0, RolloutTime(now, now), "so it is")
        moved = Transition(declared, number, 0, state, Weights(number, intervals), champion=1, at=isoformat(now))
        append_record(kafka, desk.settings.output.ledger, application, moved.to_dict())

    with pytest.raises(ConfigurationError, match=f"{application} has no rollout"):
        desk.score(rollout=True)
    append_record(kafka, desk.settings.output.ledger, application, declared.to_dict())
    moved_to(1, RolloutPhase.STEP, half)
    with desk.work(rollout=True) as work:
        begun = Staging.open(desk.out, "b1")
        begun.begin(work.plan)
        begun.close()
        console = Console(file=StringIO(), width=200)
        try_out(work, console)
        assert "495 would be scored" in console.file.getvalue()  # type: ignore[attr-defined]
    moved_to(2, RolloutPhase.ROLLED_BACK, ALL_CHAMPION)
    with pytest.raises(ConfigurationError, match="one version has all keys"):
        desk.score(rollout=True, name="b2")
    desk.score(rollout=True)
    arms = ArmAssignment("f-2", half)
    rows = pq.read_table(desk.out).to_pylist()
    assert len(rows) == UNITS * (ROWS - 5)
    for row in rows:
        role = arms.arm_of(None, row["event_id"])
        assert (row["role"], row["model_version"], row["weight_epoch"]) == (role, 1 + (role == CANDIDATE), 1)
    report = json.loads((desk.out / REPORT).read_text())
    assert (report["rollout"], report["versions"]) == ("f-2", {"champion": 1, "candidate": 2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"partition_by": ("month",)}, "--partition-by month is not among"),
        ({"model_version": 1, "alias": "champion"}, "both given"),
        ({"name": "a/b"}, "may have letters"),
        ({"rollout": True, "model_version": 1}, "--rollout names both versions"),
    ],
    ids=["unknown column", "two versions", "a name that is a path", "a rollout's versions and another"],
)
def test_an_order_that_cannot_be_is_refused(changes: dict[str, Any], message: str, desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match=message):
        desk.score(**changes)
    assert not list(desk.out.parent.glob("*out*"))
