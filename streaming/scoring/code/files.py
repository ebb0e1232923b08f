"""A version's whole folder as bytes, which travel to the processes that score, and back to a folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from streaming.models.own_files import malformed


def packed(root: Path, most: int) -> bytes:
    """Return a folder's files as an archive of at most about ``most`` bytes.

    Raises:
        CandidateRefusedError: ``MALFORMED``; the folder has more, a link, or a file that cannot be read.
    """
    paths = sorted(root.rglob("*"))
    if any(path.is_symlink() for path in paths):
        raise malformed("the version's folder has a link")
    files = [path for path in paths if path.is_file()]
    if sum(path.stat().st_size for path in files) > most:
        raise malformed(f"the version's files have more than {most >> 20} MiB, the most that is served")
    archive = io.BytesIO()
    try:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path in files:
                tar.add(path, str(path.relative_to(root)), recursive=False)
    except OSError as problem:
        raise malformed(f"the version's files cannot be read: {problem}") from problem
    return archive.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write an archive's files below a folder."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        # What leads out of the folder, links and devices are refused.
        tar.extractall(folder, filter="data")
