"""A batch on disk: finished units stay, published folders are whole, and a run cut short anywhere can be done again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from streaming.batch.counts import BatchCounts
from streaming.batch.files import InputFile
from streaming.batch.plan import BatchPlan, Unit
from streaming.batch.publish import REPORT, BatchTargets, publish, published_batch
from streaming.batch.run import ProgressReporter, UnitProgress, score_units
from streaming.batch.staging import Staging, unfinished
from streaming.errors import ConfigurationError
from streaming.models.ref import ModelVersion

VERSION = ModelVersion("flights", 1)
PLAN = BatchPlan("b1", "flights", 1, "d", tuple(InputFile(f"/in/{n}", 1, n) for n in "abc"), {}, unit_bytes=1)
FILES = {
    "scored/part-00000-x.parquet": "s",
    "scored/risk=low/part-00001-x.parquet": "t",
    "rejected/part-0.parquet": "r",
}


class Killed(BaseException):
    """Stands for the end of the process."""


@dataclass
class FakeScorer:
    """Writes each unit's files; dies in the unit ``dies_in``, halfway through them."""

    dies_in: int | None = None
    scored: list[int] = field(default_factory=list)

    def score(self, unit: Unit, folder: Path, stamp: object) -> BatchCounts:
        """Write."""
        assert not list(folder.iterdir())
        self.scored.append(unit.number)
        for number, (name, text) in enumerate(FILES.items()):
            if number == 1 and unit.number == self.dies_in:
                raise Killed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"{unit.number}{text}")
            (folder / name).with_name("_SUCCESS").touch()
            (folder / name).with_name(".part.crc").touch()
        return BatchCounts(3, 2, {"NON_FINITE": 1}, 1.0)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out" / "scored"


@pytest.fixture
def staging(target: Path) -> Iterator[Staging]:
    made = Staging.open(target, "b1")
    made.begin(PLAN)
    yield made
    made.close()


def targets(target: Path, *, overwrite: bool = False) -> BatchTargets:
    return BatchTargets(target, target.with_name("rejected"), overwrite)


def score(staging: Staging, scorer: FakeScorer) -> tuple[BatchCounts, list[UnitProgress]]:
    reported: list[UnitProgress] = []
    clock = datetime(2024, 1, 1, tzinfo=timezone.utc)
    return score_units(PLAN, staging, scorer, VERSION, ProgressReporter(lambda: clock, reported.append)), reported


def data(folder: Path) -> list[str]:
    return sorted(path.read_text() for path in folder.rglob("*.parquet"))


def test_a_run_that_is_killed_in_a_unit_goes_on_with_that_unit(staging: Staging) -> None:
    with pytest.raises(Killed):
        score(staging, FakeScorer(dies_in=1))
    again = FakeScorer()
    counts, reported = score(staging, again)
    assert again.scored == [1, 2]
    assert counts == BatchCounts(9, 6, {"NON_FINITE": 3}, 3.0)
    assert [(p.done, p.bytes_done, p.earlier) for p in reported] == [(1, 1, 1), (2, 2, 1), (3, 3, 1)]


def test_what_is_published_is_all_data_and_a_report_and_nothing_else(staging: Staging, target: Path) -> None:
    score(staging, FakeScorer())
    publish(staging, targets(target), 3, {"batch": "b1", "rows": 9})
    staging.remove()
    assert data(target) == ["0s", "0t", "1s", "1t", "2s", "2t"]
    assert (target / "risk=low" / "part-00002-00001-x.parquet").read_text() == "2t"
    assert data(target.with_name("rejected")) == ["0r", "1r", "2r"]
    assert {path.name for path in target.iterdir()} - {"risk=low"} == {
        "_SUCCESS",
        REPORT,
        *(f"part-0000{n}-00000-x.parquet" for n in range(3)),
    }
    assert json.loads((target / REPORT).read_text())["rows"] == 9
    assert {path.name for path in target.parent.iterdir()} == {"scored", "rejected"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_publishing_that_is_cut_short_at_any_rename_ends_the_same_when_done_again(
    overwrite: bool, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.rename
    for dies_at in range(1, 100):
        folder = tmp_path / str(dies_at) / "scored"
        before = targets(folder, overwrite=overwrite)
        if overwrite:
            before.scored.mkdir(parents=True)
            (before.scored / "old.parquet").write_text("old")
        staging = Staging.open(folder, "b1")
        staging.begin(PLAN)
        score(staging, FakeScorer())
        renames = 0

        def rename(path: Path, to: Path, dies_at: int = dies_at) -> Path:
            nonlocal renames
            renames += 1
            if renames == dies_at:
                raise Killed
            return real(path, to)

        monkeypatch.setattr(Path, "rename", rename)
        try:
            publish(staging, before, 3, {"batch": "b1"})
        except Killed:
            assert data(folder) in ([], ["old"], ["0s", "0t", "1s", "1t", "2s", "2t"])
        finally:
            monkeypatch.setattr(Path, "rename", real)
        done = renames < dies_at
        publish(staging, before, 3, {"batch": "b1"})
        staging.remove()
        assert data(before.scored) == ["0s", "0t", "1s", "1t", "2s", "2t"]
        assert data(before.rejected) == ["0r", "1r", "2r"]
        assert {path.name for path in folder.parent.iterdir()} == {"scored", "rejected"}
        if done:
            assert dies_at > 9
            return
    pytest.fail("publishing never ended")


def test_without_rejected_rows_there_is_no_folder_of_them_and_an_old_one_goes(staging: Staging, target: Path) -> None:
    for number in range(3):
        (staging.start_unit() / "scored").mkdir()
        staging.finish_unit(number, BatchCounts())
    where = targets(target, overwrite=True)
    where.rejected.mkdir()
    publish(staging, where, 3, {"batch": "b1"})
    assert published_batch(target) == "b1"
    assert not where.rejected.exists()


def test_what_somebody_else_put_there_is_not_replaced(target: Path) -> None:
    target.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="--overwrite"):
        targets(target).check_free("b1")
    (target / REPORT).write_text('{"batch": "b1"}')
    targets(target).check_free("b1")
    with pytest.raises(ConfigurationError, match="--overwrite"):
        targets(target).check_free("b2")


@pytest.mark.parametrize(
    ("scored", "rejected", "message"),
    [
        ("data", "rejected", "lie within each other"),
        ("data/in/scored", "rejected", "lie within each other"),
        ("scored", "data/in", "lie within each other"),
        ("scored", "scored", "would both go"),
    ],
    ids=["around the input", "within the input", "the input itself", "one for both"],
)
def test_targets_that_would_harm_the_input_or_each_other_are_refused(
    scored: str, rejected: str, message: str, tmp_path: Path
) -> None:
    given = tmp_path / "data" / "in"
    given.mkdir(parents=True)
    (given / "a.csv").touch()
    where = BatchTargets(tmp_path / scored, tmp_path / rejected)
    with pytest.raises(ConfigurationError, match=message):
        where.check_apart(given, [given / "a.csv"])


def test_two_runs_do_not_work_on_one_batch(staging: Staging, target: Path) -> None:
    with pytest.raises(ConfigurationError, match="another run works on the batch b1"):
        Staging.open(target, "b1")
    assert unfinished(target) == ["b1"]
    staging.close()
    Staging.open(target, "b1").remove()
    assert unfinished(target) == []


def test_a_plan_comes_back_and_a_damaged_one_is_said(staging: Staging) -> None:
    assert staging.plan() == PLAN
    (staging.folder / "plan.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="to start again"):
        staging.plan()


def test_the_run_that_recorded_a_batch_is_remembered(staging: Staging) -> None:
    assert staging.recorded() is None
    staging.record("r1")
    assert staging.recorded() == "r1"


def test_a_batch_for_another_target_is_not_this_one_s(staging: Staging, target: Path) -> None:
    assert unfinished(replace(targets(target)).rejected) == []
