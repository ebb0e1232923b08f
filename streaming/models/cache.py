"""The download cache: complete model versions on this machine's disk, named by content and bounded in number and size.

Several processes may share a cache. A version in use is protected by a shared file lock that the operating system drops
with the process; short steps (begin, publish, collect) exclude each other by one more lock. A directory appears under
its final name only when everything in it is written::

    <cache_dir>/<name>/<version>-<digest12>/model/...   the version's files
                                            entry.json  what was resolved, and the full digest
                                            lock        shared by everyone who uses it
    <cache_dir>/.partial/<unique>/                      being downloaded, or being removed
"""

from __future__ import annotations

import errno
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streaming.errors import CandidateRefusedError, FilesMissingError, SetupError
from streaming.models.arrival import missing
from streaming.models.cache_entry import ENTRY_FILE, FILES, Entry, entries, read_entry, write_entry
from streaming.models.digest import DIGEST_TAG, tree_digest
from streaming.models.last_good import last_good_digests
from streaming.models.locks import FileLock, OwnFolder, sweep
from streaming.models.ref import ModelKey, ModelVersion, safe_folder
from streaming.models.table_memory import table_digests
from streaming.refusal_codes import RefusalCode

_PARTIAL = ".partial"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

Download = Callable[[ModelVersion, Path], None]


@dataclass(frozen=True)
class CachedModel:
    """A version's files, verified and protected from collection until :meth:`ModelCache.release`."""

    root: Path
    version: ModelVersion
    digest: str


class ModelCache:
    """Fetches versions once, and keeps the newest few and those that served last."""

    def __init__(self, directory: Path, keep: int, max_bytes: int) -> None:
        """Open the cache; removes what a killed process left half-written.

        Args:
            directory: Made if it is not there.
            keep: How many versions stay, beyond those in use and those that served last.
            max_bytes: What the versions together may take on disk.

        Raises:
            SetupError: The directory cannot be made or written.
        """
        self._directory = directory.resolve()
        self._keep = keep
        self._max_bytes = max_bytes
        self._mine: dict[Path, list[FileLock]] = {}
        self._downloaded: set[Path] = set()
        self._guard = threading.Lock()
        self._partial = self._directory / _PARTIAL
        try:
            self._partial.mkdir(parents=True, exist_ok=True)
            with self._exclusive():
                sweep(self._partial)
                self._collect()
        except OSError as problem:
            raise SetupError(
                f"the model cache {self._directory} cannot be used ({problem}); set model.cache_dir"
            ) from problem

    def fetch(self, version: ModelVersion, download: Download) -> CachedModel:
        """Return the version's files, from disk if they are known to be the registered ones, else downloaded.

        Files on disk are trusted when the version's ``penstock.digest`` tag names them or this process fetched them.

        Raises:
            CandidateRefusedError: ``DIGEST_MISMATCH`` or ``CACHE_FULL``.
            RegistryUnavailableError: the files did not arrive.
        """
        expected = version.tags.get(DIGEST_TAG)
        for entry in self._entries(version.key):
            trusted = entry.digest == expected if expected else entry.path in self._downloaded
            if trusted and (opened := self._open(entry)):
                return CachedModel(opened.root, version, opened.digest)
        try:
            return self._download(version, download, expected)
        except OSError as problem:
            if problem.errno not in _NO_SPACE:
                raise
            raise CandidateRefusedError(
                RefusalCode.CACHE_FULL,
                f"the disk of {self._directory} is full; free space there or set model.cache_dir",
            ) from problem

    def recall(self, key: ModelKey, digest: str | None = None) -> CachedModel | None:
        """Return a version that was fetched before, without asking the registry; ``None`` if it is not (whole) there.

        Args:
            key: The registered version.
            digest: Accept these files only; ``None`` takes the newest of that version.
        """
        for entry in self._entries(key):
            if digest in (None, entry.digest) and (opened := self._open(entry)):
                return opened
        return None

    def release(self, root: Path) -> None:
        """End one use of the files at ``root``, which count as used until now; an unknown root is ignored."""
        with self._guard:
            locks = self._mine.get(root.parent)
            if locks:
                with suppress(OSError):  # its folder may be gone, its disk full
                    (root.parent / ENTRY_FILE).touch()
                locks.pop().close()

    def collect(self) -> None:
        """Remove the oldest versions beyond the bounds, except those in use here or elsewhere, and those that served.

        What an application would go back to after a restart stays, however many candidates were refused meanwhile.
        """
        with self._exclusive():
            self._collect()

    def _entries(self, key: ModelKey) -> list[Entry]:
        named_alike = entries(self._directory, f"{safe_folder(key.name)}/{key.version}-*")
        return [entry for entry in named_alike if entry.version.key == key]

    def _open(self, entry: Entry) -> CachedModel | None:
        """Protect the entry, then verify it; files that changed since they were fetched are removed."""
        try:
            lock = FileLock.shared(entry.path / "lock")
        except FileNotFoundError:
            return None
        if read_entry(entry.path) is None:  # collected between finding and locking
            lock.close()
            return None
        root = entry.path / FILES
        if tree_digest(root) != entry.digest:
            lock.close()
            with self._exclusive():
                self._remove(entry.path)
            return None
        (entry.path / ENTRY_FILE).touch()  # the newest use is what collecting goes by
        with self._guard:
            self._mine.setdefault(entry.path, []).append(lock)
        return CachedModel(root, entry.version, entry.digest)

    def _download(self, version: ModelVersion, download: Download, expected: str | None) -> CachedModel:
        with self._exclusive():
            partial = OwnFolder.within(self._partial)
        try:
            root = partial.path / FILES
            root.mkdir()
            download(version, root)
            digest = tree_digest(root)
            if digest != expected:
                _check_arrival(version, root, digest, expected)
            write_entry(partial.path, version, digest)
            path = self._publish(partial.path, version, digest)
        finally:
            partial.remove()
        entry = read_entry(path)
        opened = self._open(entry) if entry else None
        if opened is None:
            raise CandidateRefusedError(
                RefusalCode.CACHE_DAMAGED,
                f"{path} was damaged or removed while {version} was fetched; remove that folder",
            )
        self._downloaded.add(path)
        self._make_room(opened)
        return CachedModel(opened.root, version, opened.digest)

    def _make_room(self, newest: CachedModel) -> None:
        with self._exclusive():
            size = self._collect()
            if size <= self._max_bytes:
                return
            self.release(newest.root)
            self._remove(newest.root.parent)
        raise CandidateRefusedError(
            RefusalCode.CACHE_FULL,
            f"with {newest.version} the model cache holds {size} bytes, of which none can be removed, and"
            f" model.cache_max_bytes is {self._max_bytes}; raise it",
        )

    def _publish(self, partial: Path, version: ModelVersion, digest: str) -> Path:
        target = self._directory / version.folder(digest)
        with self._exclusive():
            target.parent.mkdir(exist_ok=True)
            if not target.exists():  # another process may have been first
                partial.rename(target)
        return target

    def _exclusive(self) -> FileLock:
        return FileLock.exclusive(self._directory / ".lock")

    def _collect(self) -> int:
        """Remove what may go; returns the bytes of what stays. The caller holds the exclusive lock."""
        newest_first = entries(self._directory)
        total = sum(entry.bytes for entry in newest_first)
        served = {*last_good_digests(self._directory), *table_digests(self._directory)}
        for position, entry in reversed(list(enumerate(newest_first))):
            removable = entry.digest not in served and (position >= self._keep or total > self._max_bytes)
            if removable and self._remove(entry.path):
                total -= entry.bytes
        return total

    def _remove(self, path: Path) -> bool:
        """Remove an entry unless it is in use; the caller holds the exclusive lock."""
        lock = FileLock.try_exclusive(path / "lock")
        if lock is None:
            return False
        doomed = Path(tempfile.mkdtemp(dir=self._partial)) / "entry"
        path.rename(doomed)
        lock.close()
        shutil.rmtree(doomed.parent, ignore_errors=True)
        return True


def _check_arrival(version: ModelVersion, root: Path, digest: str, expected: str | None) -> None:
    """Refuse files that are not the registered ones: missing files may still arrive, files that differ stay wrong."""
    if lacking := missing(root):
        raise FilesMissingError(f"the files of {version} did not all arrive: {lacking} is missing")
    if expected:
        raise CandidateRefusedError(
            RefusalCode.DIGEST_MISMATCH,
            f"the files of {version} have digest {digest[:12]}, its tag {DIGEST_TAG} says {expected[:12]}; they"
            " were changed after registering, so register them as a new version",
        )
