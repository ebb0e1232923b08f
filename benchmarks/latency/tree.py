"""What a system takes of the machine: processor seconds and memory of its process and all below it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Usage:
    """Processor seconds since the start, its ended children's included, and resident bytes at this moment."""

    cpu_seconds: float
    rss_bytes: int


def usage(pid: int) -> Usage:
    """Look at the process and all below it; memory that forks share counts in each."""
    seconds, memory = 0.0, 0
    for process in _tree(pid):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system + times.children_user + times.children_system
            memory += process.memory_info().rss
    return Usage(seconds, memory)


def _tree(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        yield root
        yield from root.children(recursive=True)
