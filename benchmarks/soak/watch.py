"""What a running job takes of the machine, sampled: memory, threads and handles of its processes, and its files."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.soak.heap import HEAP_MB
from jobs.demo.rig import Rig
from streaming.errors import SetupError
from streaming.local.processes import LOOPBACK

_LAG = re.compile(r"^penstock_consumer_lag_records\{.*\} (\S+)$", re.MULTILINE)

Sample = dict[str, float]
"""Series to value; ``time`` is in seconds since 1970, memory in bytes."""


@dataclass(frozen=True)
class Processes:
    """The job's processes. ``workers`` may come and go; they are looked up each time."""

    driver: psutil.Process
    jvm: psutil.Process

    @property
    def workers(self) -> list[psutil.Process]:
        """The Python workers, and the daemon that they are forked from."""
        return self.jvm.children(recursive=True)


def processes_of_job() -> Processes:
    """Find the scoring job that this process has started."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if child.cmdline()[1:4] == ["-m", "penstock", "score"]:
                jvm = next(process for process in child.children() if process.name().startswith("java"))
                return Processes(child, jvm)
    raise SetupError("the scoring job's process was not found")


@dataclass(frozen=True)
class Watch:
    """Takes samples of one job."""

    rig: Rig
    processes: Processes

    def sample(self) -> Sample:
        """Look at everything once; takes some 30 ms."""
        driver, jvm, workers = self.processes.driver, self.processes.jvm, self.processes.workers
        checkpoint, cache = _files(self.rig.folder / "checkpoint"), _files(self.rig.folder / "models")
        return {
            "time": time.time(),
            "driver_rss": driver.memory_info().rss,
            "driver_own": _own(driver),
            "jvm_rss": jvm.memory_info().rss,
            "jvm_outside_heap": jvm.memory_info().rss - HEAP_MB * 2**20,
            "workers_own": _total(workers, _own),
            "workers": len(workers),
            "driver_handles": driver.num_fds(),
            "jvm_handles": jvm.num_fds(),
            "workers_handles": _total(workers, psutil.Process.num_fds),
            "driver_threads": driver.num_threads(),
            "jvm_threads": _steady_threads(jvm),
            "workers_threads": _total(workers, psutil.Process.num_threads),
            "checkpoint_files": len(checkpoint),
            "checkpoint_bytes": sum(checkpoint),
            "cached_versions": len(list((self.rig.folder / "models").glob("*/*"))),
            "cache_bytes": sum(cache),
            "lag": self._lag(),
        }

    def _lag(self) -> float:
        try:
            text = httpx.get(f"http://{LOOPBACK}:{self.rig.http_port}/metrics", timeout=5.0).text
        except httpx.HTTPError:
            return float("nan")
        return sum(map(float, _LAG.findall(text)))


def _own(process: psutil.Process) -> float:
    """Return the resident memory that no other process shares: workers are forks and share most of theirs."""
    return float(process.memory_full_info().uss)


def _steady_threads(process: psutil.Process) -> int:
    """Count the threads but those of Spark's two pools for block messages, which come and go, up to 100 in each."""
    tasks = Path("/proc", str(process.pid), "task")
    if not tasks.is_dir():  # only Linux tells threads' names
        return process.num_threads()
    steady = 0
    for task in tasks.iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            steady += not (task / "comm").read_text().startswith("block-manager-")
    return steady


def _total(processes: Iterable[psutil.Process], value: Callable[[psutil.Process], float]) -> float:
    """Sum the value over the processes that are still there."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += value(process)
    return total


def _files(folder: Path) -> list[int]:
    """Return the sizes of the files below ``folder``; files and folders that vanish meanwhile do not count."""
    sizes = []
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                sizes.append((Path(parent) / name).stat().st_size)
    return sizes
