"""What the writer's tasks have in common with all others that run in the same Python worker process."""

from __future__ import annotations

import gc
from functools import cache


@cache
def settle() -> None:
    """Take what the process has imported out of the garbage collector's account, once.

    PySpark collects garbage after each task. Going through the objects of all modules took half of a worker's time.
    """
    gc.freeze()
