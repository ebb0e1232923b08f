"""What the demonstration shows while it works: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

_LINE_SECONDS = 10.0


class Display:
    """Steps with their time since the start, and how far publishing and reading are."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._last_line = self._began
        columns = (SpinnerColumn(), TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._phase = self._progress.add_task("starting", total=None)
        self._bars: tuple[()] | tuple[int, int] = ()

    def __enter__(self) -> Display:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bars away."""
        self._progress.stop()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Show a step."""
        self._console.print(f"{self.seconds:4.0f} s  {text}", highlight=False)

    def detail(self, text: str) -> None:
        """Show what a step is doing just now; only on a terminal."""
        self._progress.update(self._phase, description=text[:28])

    def counts(self, published: int, read: int, total: int) -> None:
        """Show how many of ``total`` records are published and how many of their results are read."""
        if not self._bars:
            self._bars = (
                self._progress.add_task("events published", total=total),
                self._progress.add_task("results read", total=total),
            )
        self._progress.update(self._bars[0], completed=published)  # type: ignore[arg-type]
        self._progress.update(self._bars[1], completed=read)  # type: ignore[arg-type]
        if not self._console.is_terminal and time.monotonic() - self._last_line >= _LINE_SECONDS:
            self._last_line = time.monotonic()
            self.say(f"  published {published:,} of {total:,}, read {read:,}")
