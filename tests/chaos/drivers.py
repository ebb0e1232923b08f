"""One driver of the job: real processes, found by a mark in their environment whoever their parent is by now."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

import httpx
import psutil

from tests.support.commands import ROOT, command, environment
from tests.support.eventually import SLOWEST, eventually
from tests.support.job import Job

_MARK = "CHAOS_DRIVER"
_DISK_BYTES = 32 * 1024 * 1024


@dataclass
class Driver(Job):
    """``penstock score``. With ``small_disk`` its model cache is a file system of its own, of 32 MB.

    Such a file system is mounted in a namespace of the job's own, which needs no root and leaves nothing behind.
    """

    small_disk: bool = False

    def __post_init__(self) -> None:
        """Write its settings."""
        super().__post_init__()
        self.mark = uuid4().hex
        self._cache = self.home / "models"

    def spawn(self, *arguments: str) -> None:
        """Start it and return at once."""
        self._cache.mkdir(exist_ok=True)
        within = _namespace(self._cache) if self.small_disk else []
        self.process = subprocess.Popen(
            [*within, *command("score", "--config", str(self.config), *arguments)],
            cwd=ROOT,
            env=environment(**{_MARK: self.mark}),
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def processes(self) -> list[psutil.Process]:
        """Return all that belongs to it, orphans too."""
        return list(_marked(self.mark))

    def workers(self) -> list[psutil.Process]:
        """Return the Python processes in which tasks run."""
        return [p for p in self.processes() if _is_worker(p)]

    def serving(self) -> int | None:
        """Return the version that it says it serves; ``None`` where it does not answer."""
        try:
            reply = httpx.get(f"{self.url}/v1/model", timeout=5, trust_env=False)
        except httpx.TransportError:
            return None
        return int(reply.json()["version"]) if reply.is_success else None

    @property
    def running(self) -> bool:
        """Whether its main process lives."""
        return self.process.poll() is None

    def send(self, number: int) -> int:
        """Send a signal to all its processes; return how many got it."""
        reached = 0
        for process in self.processes():
            try:
                process.send_signal(number)
                reached += 1
            except psutil.NoSuchProcess:
                continue
        return reached

    def kill(self) -> None:
        """End all its processes at once, as a lost machine would."""
        eventually(lambda: self.send(signal.SIGKILL) == 0, timeout=SLOWEST)
        self.process.wait(30)

    def fill_disk(self) -> Path:
        """Leave no room in its model cache; return the file to remove again."""
        filler = Path(f"/proc/{self.process.pid}/root{self._cache}/filler")
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            for _ in range(_DISK_BYTES // 4096 + 1):
                file.write(bytes(4096))
            raise AssertionError(f"{filler} was not bounded; the cache is on no file system of its own")
        return filler

    def stands_by(self) -> bool:
        """Whether it is warm and waits."""
        return any("standby" in reason for reason in self.unready() or ())

    def close(self) -> None:
        """End what is left of it."""
        self.kill()
        self.log.close()


def can_bound_a_disk() -> bool:
    """Whether this machine lets us mount a small file system for a process, as Linux does unless told otherwise."""
    return shutil.which("unshare") is not None and _can_mount()


@cache
def _can_mount() -> bool:
    tried = ["unshare", "-Urm", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/tmp"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def _namespace(folder: Path) -> list[str]:
    script = f'mount -t tmpfs -o size={_DISK_BYTES} none "$0" && exec "$@"'
    return ["unshare", "-Urm", "sh", "-c", script, str(folder)]


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue


def _is_worker(process: psutil.Process) -> bool:
    """Workers are forked by Spark's daemon, and look like it."""
    try:
        parent = process.parent()
        return "pyspark.daemon" in process.cmdline() and parent is not None and "pyspark.daemon" in parent.cmdline()
    except psutil.NoSuchProcess:
        return False
