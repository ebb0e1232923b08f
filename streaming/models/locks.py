"""Locks between processes on one machine, by ``flock``: the operating system drops them with the process."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path


class FileLock:
    """A held lock on a file. Two locks on one file conflict even inside one process, unless both are shared."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def exclusive(cls, path: Path) -> FileLock:
        """Wait for the only lock on ``path``, which is made if its folder exists."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return cls(descriptor)

    @classmethod
    def try_exclusive(cls, path: Path) -> FileLock | None:
        """Return the only lock on ``path``, or ``None`` if someone holds one; makes the file as :meth:`exclusive`."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return cls(descriptor)

    @classmethod
    def shared(cls, path: Path) -> FileLock:
        """Wait for a shared lock on ``path``.

        Raises:
            FileNotFoundError: there is no such file.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return cls(descriptor)

    def __enter__(self) -> FileLock:
        """Hold the lock until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lock back."""
        self.close()

    def close(self) -> None:
        """Give the lock back; once is enough."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@dataclass(frozen=True)
class OwnFolder:
    """A folder that is this process's alone until :meth:`remove`; :func:`sweep` removes those of killed processes."""

    path: Path
    lock: FileLock

    @classmethod
    def within(cls, parent: Path) -> OwnFolder:
        """Make a folder; the caller ensures that nobody sweeps ``parent`` meanwhile."""
        path = Path(tempfile.mkdtemp(dir=parent))
        return cls(path, FileLock.exclusive(path / "lock"))

    def remove(self) -> None:
        """Remove it, if it is still there."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.close()


def sweep(parent: Path) -> None:
    """Remove the folders below ``parent`` whose lock nobody holds."""
    for path in (path for path in parent.iterdir() if path.is_dir()):
        if lock := FileLock.try_exclusive(path / "lock"):
            lock.close()
            shutil.rmtree(path, ignore_errors=True)
