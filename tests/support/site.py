"""A submitting machine: a folder with what a documented spark-submit command names, where Penstock is not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import yaml

from jobs.build.bundle import write_bundle
from tests.support.commands import ROOT
from tests.support.eventually import eventually

PATIENCE = 240.0
_LEADS_HERE = ("PYTHONPATH", "SPARK_HOME", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")


def another_machine(**extra: str) -> dict[str, str]:
    """Return this process's environment without what leads to the checkout and its packages, plus ``extra``."""
    return {**{name: value for name, value in os.environ.items() if name not in _LEADS_HERE}, **extra}


class Site:
    """A folder with what the command names and nothing else, on a machine where Penstock is not installed."""

    def __init__(self, folder: Path, command: str, settings: Mapping[str, object], **extra: str) -> None:
        """Make ``folder``; ``command`` is the documented shell text that submits the job, ``extra`` its variables."""
        self.folder = folder
        (folder / "jobs").mkdir(parents=True)
        shutil.copy(ROOT / "jobs" / "score.py", folder / "jobs")
        (folder / ".penstock").mkdir()
        (folder / ".penstock" / "jars").symlink_to(ROOT / ".penstock" / "jars")
        write_bundle(folder / "dist" / "penstock-app.zip")
        (folder / "penstock.yaml").write_text(yaml.safe_dump(settings))
        self._make_environment()
        self.command = command
        self.environment = another_machine(**extra)
        self.log = folder / "log"
        self.started: list[psutil.Process] = []

    def _make_environment(self) -> None:
        """The dependencies come by a path file; the checkout's own path file is not read from there."""
        venv = self.folder / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        packages = next(venv.glob("lib/python*/site-packages"))
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        for name in ("spark-submit", "find-spark-home", "find_spark_home.py"):
            shutil.copy(Path(sysconfig.get_path("scripts")) / name, venv / "bin")

    def submit(self) -> tuple[psutil.Process, psutil.Process]:
        """Start it; return the shell that runs the command, and the driver, a Python that spark-submit's JVM starts."""
        with self.log.open("ab") as out:
            shell = psutil.Popen(
                ["bash", "-ec", self.command], cwd=self.folder, env=self.environment, stdout=out, stderr=out
            )
        self.started.append(shell)

        def driver() -> psutil.Process | None:
            assert shell.is_running(), self.log.read_text()[-3_000:]
            return next((p for p in shell.children(recursive=True) if runs_the_job(p)), None)

        result = eventually(driver, timeout=PATIENCE)
        self.started += [result, *result.children(recursive=True)]
        return shell, result

    def kill(self) -> None:
        for process in self.started:
            with suppress(psutil.NoSuchProcess):  # it may end by itself at any moment
                for child in process.children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        child.kill()
                process.kill()


def runs_the_job(process: psutil.Process) -> bool:
    """The shell's helpers come and go; one that is just ending has no command line to read."""
    try:
        return any(argument.endswith("jobs/score.py") for argument in process.cmdline()[1:2])
    except psutil.NoSuchProcess:
        return False
