"""The README from top to bottom, as a reader types it; its links and its numbers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streaming.local.processes import free_port
from tests.support.commands import penstock
from tests.support.documents import blocks

ELSEWHERE = ("make demo", "spark-submit")
"""Commands with tests of their own."""
DEPARTURES = {"2013-04-01": 978, "2013-04-02": 981}
NOT_COPIED = {".git", ".penstock", "build", "dist", "penstock.yaml", "spark-warehouse"}
CURL = """#!{python}
import sys, urllib.request
sys.stdout.write(urllib.request.build_opener(urllib.request.ProxyHandler({{}})).open(sys.argv[-1]).read().decode())
"""
PATIENCE = 2_400.0


@pytest.fixture
def ports() -> dict[str, str]:
    """The ports that the README names, and free ones in their place."""
    return {name: str(free_port()) for name in ("9092", "5000", "8088")}


def moved(text: str, ports: dict[str, str]) -> str:
    """``text`` with the ports replaced."""
    up = f"penstock up --kafka-port {ports['9092']} --mlflow-port {ports['5000']}"
    return re.sub(r"\b(9092|5000|8088)\b", lambda result: ports[result[0]], text).replace("penstock up", up)


@pytest.fixture
def checkout(root: Path, tmp_path: Path, ports: dict[str, str]) -> Iterator[Path]:
    """A checkout of its own that shares code, environment and jars with this one."""
    folder = tmp_path / "penstock"
    (folder / ".penstock").mkdir(parents=True)
    (folder / ".penstock" / "jars").symlink_to(root / ".penstock" / "jars")
    for entry in root.iterdir():
        if entry.name not in NOT_COPIED:
            (folder / entry.name).symlink_to(entry)
    (folder / "penstock.yaml").write_text(moved((root / "penstock.yaml").read_text(), ports))
    for _, text in blocks(root / "README.md", "python"):
        name = text.partition("\n")[0].removeprefix("# ")
        (folder / name).write_text(moved(text, ports))
    yield folder
    penstock("down", cwd=folder)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A reader's: PYTHON=true leaves out ``make setup``'s work, which was done before any test; ``curl`` is there."""
    given = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
    tools = tmp_path / "tools"
    tools.mkdir()
    if shutil.which("curl") is None:
        (tools / "curl").write_text(CURL.format(python=sys.executable))
        (tools / "curl").chmod(0o755)
    return {**given, "PYTHON": "true", "PATH": f"{tools}:{given['PATH']}", "no_proxy": "127.0.0.1"}


@pytest.mark.timeout(2_500)
def test_the_commands_work_from_top_to_bottom(
    root: Path, checkout: Path, environment: dict[str, str], ports: dict[str, str], tmp_path: Path
) -> None:
    commands = [text for _, text in blocks(root / "README.md", "sh") if not any(name in text for name in ELSEWHERE)]
    script = moved("\n".join(commands), ports)
    log = tmp_path / "log"
    with log.open("w") as out:
        # Should something fail, the job in the background must not outlive the script.
        done = subprocess.run(
            ["bash", "-euc", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"],
            cwd=checkout,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
    printed = log.read_text()
    score_log = checkout / "score.log"
    assert done.returncode == 0, printed[-5_000:] + (score_log.read_text()[-3_000:] if score_log.exists() else "")

    scored = re.findall(r"(\d{4}-\d\d-\d\d-\S+) [01]\.0 0\.\d+ by version (\d)$", printed, re.MULTILINE)
    first, second = DEPARTURES.values()
    assert [version for _, version in scored].count("2") == second
    assert [version for _, version in scored].count("1") == 2 * first
    assert len({event for event, _ in scored}) == first + second
    assert f'penstock_records_total{{outcome="prediction"}} {first + second}.0' in printed
    assert 'penstock_model_swaps_total{result="promoted"} 2.0' in printed
    assert (checkout / "dist" / "penstock-app.zip").stat().st_size > 100_000
