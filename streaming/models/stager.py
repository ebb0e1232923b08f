"""Staging: a pipeline's files to where every executor can read them, under a name that follows from their content."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from streaming.errors import CandidateRefusedError, ConfigurationError
from streaming.models.package import SPARK_FLAVOR, ModelPackage
from streaming.refusal_codes import RefusalCode

MARKER = "_COMPLETE"
"""Written last, so a folder without it is a copy that was cut short."""


class FileStore(Protocol):
    """The few calls that staging needs; ``adapters`` implements it over Hadoop's FileSystem. All raise ``OSError``."""

    def exists(self, uri: str) -> bool:
        """Return whether there is a file or folder at ``uri``."""
        ...

    def put_tree(self, source: Path, uri: str) -> None:
        """Copy the folder ``source`` to ``uri``, in place of whatever is there; parents are made."""
        ...

    def write(self, uri: str, content: bytes) -> None:
        """Write one file; its folder exists."""
        ...


@dataclass(frozen=True)
class Stager:
    """Stages below ``staging_uri``; ``None`` leaves the files in the cache, enough where executors share its disk."""

    store: FileStore
    staging_uri: str | None

    def stage(self, package: ModelPackage) -> str:
        """Return the URI that Spark loads the pipeline from, copying it there unless a whole copy is there.

        Models of other flavors are not copied: their files travel with the tasks.

        Raises:
            CandidateRefusedError: ``STAGING_FAILED``; the location cannot be read or written.
        """
        if self.staging_uri is None or package.flavor != SPARK_FLAVOR:
            return f"file://{package.pipeline_dir}"
        version = package.version
        base = f"{self.staging_uri.rstrip('/')}/{version.folder(package.digest)}"
        uri = f"{base}/{package.pipeline_dir.name}"
        try:
            if not self.store.exists(f"{base}/{MARKER}"):
                self.store.put_tree(package.pipeline_dir, uri)
                self.store.write(f"{base}/{MARKER}", package.digest.encode())
        except OSError as problem:
            raise CandidateRefusedError(
                RefusalCode.STAGING_FAILED, f"{version} cannot be staged to {base}: {problem}; check model.staging_uri"
            ) from problem
        return uri


class LocalFileStore:
    """A :class:`FileStore` for plain paths and ``file:`` URIs, such as a mount that all executors share."""

    def exists(self, uri: str) -> bool:
        """Return whether there is a file or folder at ``uri``."""
        return _local(uri).exists()

    def put_tree(self, source: Path, uri: str) -> None:
        """Copy the folder ``source`` to ``uri``; it appears whole or not at all."""
        target = _local(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".copying-", dir=target.parent))
        try:
            shutil.copytree(source, unfinished / target.name)
            shutil.rmtree(target, ignore_errors=True)
            (unfinished / target.name).rename(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def write(self, uri: str, content: bytes) -> None:
        """Write one file."""
        _local(uri).write_bytes(content)


def _local(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        raise ConfigurationError(f"model.staging_uri {uri} is not a local path; this store takes paths and file: URIs")
    return Path(parts.path if parts.scheme else uri)  # not unquoted: Hadoop takes a path's percent signs as they are
