"""A benchmark leaves its results and its logs, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scratch import scratch_folder


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt], ids=["ended", "failed", "interrupted"])
def test_the_data_go_and_the_logs_stay_however_a_run_ends(checkout: Path, error: type[BaseException] | None) -> None:
    def run() -> None:
        with scratch_folder("exact") as folder:
            for name in ("kafka/features-0/00000000.log", "score.log", "runs/live/1.log"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(name)
            if error:
                raise error

    if error:
        with pytest.raises(error):
            run()
    else:
        run()
    assert list((checkout / ".penstock" / "bench").iterdir()) == []
    logs = checkout / "build" / "bench" / "logs" / "exact"
    assert {str(path.relative_to(logs)) for path in logs.rglob("*.log")} == {"score.log", "runs/live/1.log"}


def test_a_run_replaces_the_logs_of_the_last_run(checkout: Path) -> None:
    for name in ("first.log", "second.log"):
        with scratch_folder("soak") as folder:
            (folder / name).write_text(name)
    assert [path.name for path in (checkout / "build" / "bench" / "logs" / "soak").iterdir()] == ["second.log"]
