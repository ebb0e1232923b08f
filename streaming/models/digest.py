"""One digest for a model version's files, so that what was registered, downloaded and staged can be compared."""

from __future__ import annotations

import hashlib
from pathlib import Path

DIGEST_TAG = "penstock.digest"
"""The version tag in which training records the digest of the files it registered."""

DATA_DIGEST_TAG = "penstock.data.digest"
"""The tag, of run and version, in which training records the digest of the rows it read."""

REGISTRY_FILE = "registered_model_meta"
"""MLflow's client writes this file (name and version) into every download; it is not among the files that were logged,
so a digest taken before registering and one taken after downloading would differ by it alone."""

_CHUNK = 1024 * 1024


def tree_digest(root: Path) -> str:
    """Return the SHA-256, in hex, of all files below ``root``: sorted relative POSIX paths, sizes and bytes.

    Directories without files do not count, nor does the registry's own ``registered_model_meta`` at the root.

    Raises:
        OSError: A file cannot be read.
    """
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    files.pop(REGISTRY_FILE, None)
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        # Lengths come first, or a byte moved from one file's end to the next file's name would go unseen.
        digest.update(f"{len(name.encode())}:{name}:{path.stat().st_size}:".encode())
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
