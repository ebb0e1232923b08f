"""The monitor: tallies become published windows, with a judge for each version and state that outlives a restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from schemas.dead_letter import Reason
from schemas.drift import StatisticRecord, SummaryRecord, Window
from streaming.clock import isoformat, moment
from streaming.drift.decision import ColumnVerdict, DetectionRules, WindowCounts, WindowJudge
from streaming.drift.measures import statistic_records, summary_record
from streaming.drift.states import Memory
from streaming.drift.windows import CELLS, Closed, Tally, Tile, WindowBook, WindowSpec
from streaming.models.profile import NON_FINITE_BIN, NULL_BIN, OTHER_BIN, Counts, ReferenceProfile
from streaming.models.ref import ModelKey

STATE_VERSION = 2
_BIN_OF_REASON = {
    Reason.UNSEEN_CATEGORY.value: OTHER_BIN,
    Reason.NULL_FEATURE.value: NULL_BIN,
    Reason.NON_FINITE.value: NON_FINITE_BIN,
}
"""A dead letter of these reasons names the column at fault, and is counted there as well."""

Profiles = Callable[[ModelKey], ReferenceProfile | None]
"""Gives a version's profile, None where it has none."""


class DriftSink(Protocol):
    """Publisher of windows."""

    def publish(self, statistics: Iterable[StatisticRecord], summary: SummaryRecord) -> None:
        """Send one window's records."""
        ...

    def flush(self) -> None:
        """Return when all that was published is stored; raises ``BrokerUnavailableError``."""
        ...


class StateStore(Protocol):
    """Store of the monitor's state, one for each batch."""

    def save(self, batch: int, text: str) -> None:
        """Keep the state after a batch, in place of an older one of the same batch; raises ``OSError``."""
        ...

    def load(self) -> tuple[int, str] | None:
        """Return the newest batch that is kept whole, and its state; raises ``OSError``."""
        ...


@dataclass(frozen=True)
class MonitoredModel:
    """The model that is watched, and the rules for cutting and judging its windows."""

    application: str
    model: str
    shape: WindowSpec
    rules: DetectionRules


class Monitor:
    """Counts, closes, judges and publishes. Not for several threads at once.

    After an error the state in memory is not what is kept: :meth:`restore` before going on.
    """

    def __init__(self, subject: MonitoredModel, profiles: Profiles, sink: DriftSink, store: StateStore) -> None:
        self._subject = subject
        self._profiles = profiles
        self._sink = sink
        self._store = store
        self.book = WindowBook(subject.shape)
        self._judges: dict[ModelKey, WindowJudge] = {}
        self._memory: dict[ModelKey, dict[str, Memory]] = {}
        self.batch = -1

    def restore(self, now: int) -> None:
        """Begin at the end of the saved state, or without one at ``now`` (epoch milliseconds)."""
        self.book, self._judges, self._memory = WindowBook(self._subject.shape), {}, {}
        self.batch = -1
        saved = self._store.load()
        if saved is None:
            return
        self.batch, state = saved[0], json.loads(saved[1])
        # The book may refuse a state whose windows have another length.
        self.book.restore(state["book"], self._subject.model, now)
        self._memory = {
            ModelKey(self._subject.model, int(version)): {name: Memory(**memory) for name, memory in columns.items()}
            for version, columns in state["memory"].items()
        }

    def counted(self, batch: int) -> bool:
        """Return whether the state has this batch already: Spark repeats a batch whose end it had not noted."""
        return batch <= self.batch

    def take(self, batch: int, tallies: Sequence[Tally], now: int) -> list[SummaryRecord]:
        """Count a batch, publish the windows that it closes, and keep the state; times in epoch milliseconds.

        Raises:
            BrokerUnavailableError: the windows could not be published; the kept state is as it was.
            OSError: the state could not be kept. The same windows are then published again, with the same ids.
        """
        self.book.add(tallies, now)
        self.batch = batch
        return self._publish(self.book.close(now))

    def wait(self, now: int) -> list[SummaryRecord]:
        """Close what the passing of time closes; raises as :meth:`take`."""
        closed = self.book.close(now)
        return self._publish(closed) if closed else []

    def finish(self) -> list[SummaryRecord]:
        """Close every window; raises as :meth:`take`."""
        closed = self.book.close_all()
        return self._publish(closed) if closed else []

    def _publish(self, closed: Sequence[Closed]) -> list[SummaryRecord]:
        summaries = [self._tell(window) for window in closed]
        # Published before the state is saved: after a crash the windows are sent again, with the same ids.
        self._sink.flush()
        self._store.save(self.batch, json.dumps(self._state(), separators=(",", ":")))
        return summaries

    def _tell(self, closed: Closed) -> SummaryRecord:
        subject = self._subject
        start, end = (isoformat(moment(edge / 1000)) for edge in (closed.start, closed.end))
        window = Window(
            application=subject.application,
            model=closed.key.name,
            version=closed.key.version,
            start=start,
            end=end,
        )
        judge = self._judge(closed.key)
        counts = window_counts(closed, judge.profile)
        verdicts: list[ColumnVerdict] = judge.judge(counts)
        summary = summary_record(window, counts, verdicts, closed.late, closed.by)
        self._sink.publish(statistic_records(window, verdicts, subject.rules.chance), summary)
        return summary

    def _judge(self, key: ModelKey) -> WindowJudge:
        if key not in self._judges:
            # Without a profile the dead letters are still watched.
            profile = self._profiles(key) or ReferenceProfile((), 0)
            self._judges[key] = WindowJudge(profile, self._subject.rules, self._memory.get(key))
        return self._judges[key]

    def _state(self) -> dict[str, Any]:
        memory = {**self._memory, **{key: judge.memory for key, judge in self._judges.items()}}
        columns = {
            str(key.version): {name: asdict(past) for name, past in columns_memory.items()}
            for key, columns_memory in memory.items()
        }
        return {"state_version": STATE_VERSION, "book": self.book.to_dict(), "memory": columns}


def window_counts(closed: Closed, profile: ReferenceProfile) -> WindowCounts:
    """Return a closed window's counts column by column, dead letters that name a column counted in its special bins."""
    columns = _columns(closed.counts, len(profile.columns))
    for (reason, field), rows in closed.counts.rejected.items():
        index = next((at for at, column in enumerate(profile.columns) if column.name == field), None)
        if index is not None and reason in _BIN_OF_REASON:
            cell = _BIN_OF_REASON[reason]
            columns[index][cell] = columns[index].get(cell, 0) + rows
    invalid = sum(closed.counts.rejected.values())
    return WindowCounts(
        start=closed.start / 1000,
        end=closed.end / 1000,
        rows=closed.counts.rows,
        invalid=invalid,
        columns=tuple(columns),
    )


def _columns(tile: Tile, width: int) -> list[Counts]:
    columns: list[Counts] = [{} for _ in range(width)]
    for cell, rows in tile.cells.items():
        index, bin_ = divmod(cell, CELLS)
        if index < width:
            columns[index][bin_] = rows
    return columns
