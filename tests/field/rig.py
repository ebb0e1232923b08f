"""What a field case needs: a broker, a tracking server with the cases' models, a folder, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from streaming.local.processes import free_port
from streaming.local.services import services
from tests.support.commands import ROOT, environment, penstock

HOME = ROOT / ".penstock"
FILES_ONLY = ("--set", "event.id=null", "--set", "event.time=null")


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit code and all that it printed."""

    code: int
    text: str

    @property
    def last_line(self) -> str:
        """The last line that is not blank."""
        return next((line.strip() for line in reversed(self.text.splitlines()) if line.strip()), "")

    def expect(self, code: int, *parts: str) -> Result:
        """Assert the exit code, that each of ``parts`` was printed, and that no stack trace was.

        Line breaks of a terminal are not told from blanks.
        """
        flat = " ".join(self.text.split())
        assert self.code == code, f"exit {self.code}, not {code}: {flat[-600:]}"
        assert "Traceback" not in flat, flat[-600:]
        for part in parts:
            assert part.lower() in flat.lower(), f"{part!r} is not in: {flat[-600:]}"
        return self

    def __str__(self) -> str:
        return f"exit {self.code}: {self.last_line[:150]}"


@dataclass(frozen=True)
class Rig:
    """The services' addresses and a folder in which cases make folders of their own."""

    servers: str
    tracking_uri: str
    folder: Path

    def scratch(self, name: str) -> Path:
        """Make and return a folder of a case's own."""
        made = self.folder / name
        made.mkdir(parents=True)
        return made

    def penstock(
        self, *arguments: str, cwd: Path, timeout: float = 300.0, variables: Mapping[str, str] | None = None
    ) -> Result:
        """Run ``penstock ARGUMENTS`` in ``cwd``; ``variables`` go into its environment."""
        addresses = {"KAFKA_BOOTSTRAP_SERVERS": self.servers, "MLFLOW_TRACKING_URI": self.tracking_uri}
        ended = penstock(*arguments, cwd=cwd, extra={**addresses, **(variables or {})}, timeout=timeout)
        return Result(ended.returncode, ended.stdout + ended.stderr)

    def batch(self, cwd: Path, model: str, *arguments: str) -> Result:
        """Score the files in ``cwd``/in to ``cwd``/out with a model of the cases."""
        return self.penstock(
            "batch", "--set", f"model.name={model}", *FILES_ONLY, "--in", "in", "--out", "out", *arguments, cwd=cwd
        )


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return all rows of a folder of Parquet files."""
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def predictions(folder: Path) -> list[float]:
    """Return the predictions of a batch, in order of size."""
    return sorted(row["prediction"] for row in rows(folder))


def write_settings(path: Path, **sections: Any) -> None:
    """Write a configuration file."""
    path.write_text(yaml.safe_dump(sections))


def run_python(module: str, *arguments: str, **variables: str) -> Result:
    """Run a module of this package in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(PYSPARK_PYTHON=sys.executable, **variables),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Result(ended.returncode, ended.stdout + ended.stderr)


@contextmanager
def a_rig(folder: Path) -> Iterator[Rig]:
    """Yield a rig whose services run for as long as the ``with`` block, with the cases' models registered."""
    from streaming.local.jars import ensure_jars

    jars = ensure_jars(HOME, os.environ).broker
    with services(folder / "home", jars, os.environ, kafka_port=free_port(), mlflow_port=free_port()) as running:
        rig = Rig(running.bootstrap_servers, running.tracking_uri, folder)
        run_python("tests.field.models", MLFLOW_TRACKING_URI=rig.tracking_uri).expect(0)
        yield rig


Run = Callable[[Rig], object]


@dataclass(frozen=True)
class Case:
    """One case: its name, the right behaviour in a sentence, and what runs it."""

    name: str
    behaviour: str
    run: Run


@dataclass
class Cases:
    """The cases of one module, in the order in which they are written."""

    all: list[Case] = field(default_factory=list)

    def add(self, name: str, behaviour: str) -> Callable[[Run], Run]:
        """Register the decorated function; it raises ``AssertionError`` if the behaviour is not the right one."""

        def register(run: Run) -> Run:
            self.all.append(Case(name, behaviour, run))
            return run

        return register
