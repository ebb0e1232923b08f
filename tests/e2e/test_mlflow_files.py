"""A version's files, fetched by a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import psutil
import pytest
from mlflow.exceptions import MlflowException

from streaming.adapters.mlflow.files import FetchingProcess, FilesLocation, fetch, fetch_apart
from tests.support.eventually import SLOWEST, eventually

STARTS_ONE_THAT_WAITS = """
import sys
from pathlib import Path
from streaming.adapters.mlflow.files import FilesLocation, fetch_apart
fetch_apart(FilesLocation("mlflow-artifacts:/", sys.argv[1], sys.argv[1]), Path(sys.argv[2]))
"""


def location(uri: str) -> FilesLocation:
    return FilesLocation(uri, "http://127.0.0.1:1", "http://127.0.0.1:1")


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_files_are_those_that_this_process_would_fetch(tmp_path: Path) -> None:
    source, here, apart = tmp_path / "source", tmp_path / "here", tmp_path / "apart"
    for name, content in {"MLmodel": b"flavors: {}", "data/part-0": bytes(range(256)), "data/.crc": b""}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    for fetched, fetching in ((here, fetch), (apart, fetch_apart)):
        fetched.mkdir()
        fetching(location(str(source)), fetched)
    assert files_in(apart) == files_in(here) == files_in(source)


def test_where_they_cannot_be_fetched_the_reason_is_what_mlflow_says(tmp_path: Path) -> None:
    reasons = []
    for fetching in (fetch, fetch_apart):
        with pytest.raises(MlflowException, match="nowhere://files") as caught:
            fetching(location("nowhere://files"), tmp_path)
        reasons.append(str(caught.value))
    assert reasons[1] == reasons[0]


def test_a_process_that_stays_fetches_again_and_another_takes_its_place_when_it_died(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "MLmodel").write_bytes(b"flavors: {}")

    def fetches() -> bool:
        target = Path(mkdtemp(dir=tmp_path))
        fetching(location(str(source)), target)
        return files_in(target) == files_in(source)

    before = set(psutil.Process().children())
    fetching = FetchingProcess()
    try:
        [first] = set(psutil.Process().children()) - before
        assert fetches()
        assert fetches()
        assert set(psutil.Process().children()) - before == {first}
        first.kill()
        first.wait()
        with pytest.raises(MlflowException, match="died"):
            fetches()
        assert fetches()
        [second] = set(psutil.Process().children()) - before
    finally:
        fetching.close()
    assert not second.is_running()


def test_the_process_does_not_outlive_the_one_that_waits_for_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        waiting = subprocess.Popen([sys.executable, "-c", STARTS_ONE_THAT_WAITS, uri, str(tmp_path)])
        try:
            fetching = eventually(lambda: psutil.Process(waiting.pid).children(), timeout=SLOWEST)[0]
            silent.settimeout(60.0)
            asked, _ = silent.accept()
        finally:
            waiting.send_signal(signal.SIGKILL)
            waiting.wait()
        with asked:
            assert psutil.wait_procs([fetching], timeout=30.0)[1] == []
