"""Progress of a command: a bar if it can be counted, else a line for each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress
from rich.console import Console

from streaming.offsets import Progress

_EVERY = 0.1
"""Seconds from one look at the progress to the next; there may be a hundred thousand records in between."""


@contextmanager
def progress_bar(description: str) -> Iterator[Progress]:
    """Yield a function that takes the progress: a bar on standard error where that is a terminal, else nothing."""
    console = Console(stderr=True)
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(description, total=None)
        shown = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal shown
            # The callers report every record; a redraw for each would cost more than their work.
            if time.monotonic() - shown >= _EVERY:
                shown = time.monotonic()
                bar.update(task, completed=done, total=total)

        yield tell


@contextmanager
def steps(console: Console) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows each step: a spinner on a terminal, a line elsewhere."""
    if not console.is_terminal:
        yield lambda step: console.print(f"- {step}", highlight=False)
        return
    with console.status("starting") as status:
        yield status.update
