"""Files that are replaced as a whole: whoever reads one has the old content or the new, also after a kill."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, in place of the one that may be there.

    Raises:
        OSError: it cannot be written; what was there is there still.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(content)
    unfinished.replace(path)
