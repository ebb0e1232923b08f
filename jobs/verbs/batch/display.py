"""What a batch shows: a bar on a terminal and a line for each unit elsewhere, then the result."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from pyspark.sql import Row
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from jobs.verbs.batch.options import Paths
from jobs.verbs.batch.record import BatchRecord
from schemas.dead_letter import Rejection
from streaming.batch import run
from streaming.batch.plan import BatchPlan
from streaming.events import columns as c

_MOST_DIFFERENCES = 20


class BatchProgressBar:
    """The progress of the batch by the bytes of its units; rows a second are this run's own."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("scoring", total=None)
        self._began: tuple[float, int] | None = None

    def __enter__(self) -> BatchProgressBar:
        """Begin to show."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        self._bar.stop()

    def tell(self, progress: run.UnitProgress) -> None:
        """Show how far the batch is."""
        now, rows = time.monotonic(), progress.counts.rows
        if self._began is None:
            self._began = (now, rows)
            self._bar.reset(self._task, total=progress.bytes)
            if progress.earlier:
                self._say(f"{progress.earlier} of {progress.units} units were finished before ({rows:,} rows)")
        rate = (rows - self._began[1]) / max(now - self._began[0], 1e-3)
        text = f"{rows:,} rows, {rate:,.0f} rows/s"
        self._bar.update(self._task, completed=progress.bytes_done, description=text)
        if not self._console.is_terminal and progress.done > progress.earlier:
            self._say(f"unit {progress.done} of {progress.units}: {text}")

    def _say(self, text: str) -> None:
        self._console.print(f"- {text}", highlight=False)


def show_summary(console: Console, record: BatchRecord, paths: Paths, run_id: str) -> None:
    """Print the result of a batch, and where it is."""
    counts, plan = record.counts, record.plan
    _line(console, f"batch {plan.batch}, {plan.model} v{plan.version}")
    table = _facts()
    _row(table, "scorer", f"{record.scorer.kind}: {record.scorer.why}")
    _row(table, "rows", f"{counts.rows:,}")
    _row(table, "scored", f"{counts.scored:,}")
    _row(table, "rejected", f"{counts.all_rejected:,}")
    for reason, count in sorted(counts.rejected.items(), key=lambda item: (-item[1], item[0])):
        _row(table, f"  {reason}", f"{count:,}")
    _row(table, "rows/s", f"{counts.rate:,.0f}")
    for name, value in record.quantiles.items():
        _row(table, f"score {name}", f"{value:.4f}")
    console.print(table)
    _line(console, f"scored rows: {paths.targets.scored}")
    if counts.all_rejected:
        _line(console, f"rejected rows: {paths.targets.rejected}")
    _line(console, f"MLflow run: {run_id}")


def show_sample(console: Console, plan: BatchPlan, paths: Paths, begun: int | None, rows: Sequence[Row]) -> None:
    """Print what a batch would do, and what became of a sample's rows."""
    _line(console, "dry run: nothing is written")
    table = _facts()
    _row(table, "model", f"{plan.model} v{plan.version}")
    _row(table, "input", f"{len(plan.files):,} files, {sum(file.bytes for file in plan.files):,} bytes, {paths.format}")
    _row(table, "units", f"{len(plan.units):,}")
    if begun is not None:
        _row(table, "goes on with", f"batch {plan.batch}, of which {begun:,} units are finished")
    _row(table, "scored rows to", f"{paths.targets.scored} ({paths.out_format})")
    _row(table, "rejected rows to", str(paths.targets.rejected))
    rejections = Counter(Rejection(*row[c.VERDICT]) for row in rows if row[c.VERDICT] is not None)
    _row(table, f"of the first {len(rows):,} rows", f"{len(rows) - rejections.total():,} would be scored")
    for rejection, count in rejections.most_common():
        _row(table, f"  {rejection}", f"{count:,} would be rejected")
    console.print(table)


def show_differences(console: Console, differences: Sequence[str]) -> None:
    """Print which files differ from the others, and how they are read."""
    for difference in differences[:_MOST_DIFFERENCES]:
        _line(console, f"the files differ: {difference}")
    if len(differences) > _MOST_DIFFERENCES:
        _line(console, f"and {len(differences) - _MOST_DIFFERENCES} more differences")


def _facts() -> Table:
    return Table(Column(), Column(overflow="fold"), show_header=False)


def _row(table: Table, name: str, value: str) -> None:
    """Add a row as it stands: a path may look like Rich's markup."""
    table.add_row(Text(name), Text(value))


def _line(console: Console, text: str) -> None:
    """Print a path whole, whatever is in it."""
    console.print(Text(text), soft_wrap=True)
