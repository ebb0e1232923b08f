"""Keeping a Spark JVM's start-up chatter off the terminal: it goes to a file, where errors can still be looked up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stderr_to(log: Path) -> Iterator[None]:
    """Send file descriptor 2 to ``log`` inside the block; a process started there keeps it for its lifetime."""
    log.parent.mkdir(parents=True, exist_ok=True)
    original = os.dup(2)
    try:
        with log.open("wb") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)
