"""The pairs of a rollout by day, with their labels, until the labels of a day are all due; then only its sums.

What is added up depends on the records alone, and not on the order in which they came, as long as they come within the
lateness that is allowed. Memory holds the pairs of the days that wait, and no more than a given number of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streaming.clock import moment
from streaming.judging.losses import ClassMeanings, PairLosses, pair_losses
from streaming.judging.pairs import PAIRS
from streaming.quality.tables import LABELS, ONE_EVENT, TIME, days_of, distinct
from streaming.quality.windows import WindowShape
from streaming.rollout.days import DaySums
from streaming.rollout.gross_harm import LossSums

_DAY = timedelta(days=1)
NO_DAYS = DaySums(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True)
class BookRules:
    """How long labels of a day are waited for, and how late records may be written.

    ``most_pairs`` may wait; when there are more, every second event is left out, again and again.
    """

    horizon: timedelta
    lateness: timedelta
    most_pairs: int = 1_000_000


@dataclass(frozen=True)
class BookSums:
    """The sums of a rollout so far.

    Attributes:
        losses: of all labelled events, early ones among them.
        days: those whose labels are all due.
        labelled_events: by weight epoch.
        labelled_days: days that are over with all labels due, by the weight epochs that they have events of.
    """

    losses: LossSums = field(default_factory=LossSums)
    days: DaySums = NO_DAYS
    labelled_events: Counter[int] = field(default_factory=Counter)
    labelled_days: Counter[int] = field(default_factory=Counter)

    def with_day(self, day: int, losses: PairLosses, *, is_due: bool) -> BookSums:
        """Return the sums with a day's events."""
        sums = LossSums.of(losses.champion, losses.candidate)
        events = Counter(losses.epoch.tolist())
        if not is_due or not sums.events:
            return BookSums(self.losses.merged(sums), self.days, self.labelled_events + events, self.labelled_days)
        one_day = DaySums(np.array([day]), np.array([sums.events]), np.array([sums.difference]))
        return BookSums(
            losses=self.losses.merged(sums),
            days=self.days.merged(one_day),
            labelled_events=self.labelled_events + events,
            labelled_days=self.labelled_days + Counter(events.keys()),
        )


@dataclass
class _WaitingDay:
    pairs: pa.Table
    losses: PairLosses | None = None


class PairBook:
    """Takes pairs and labels in whatever order their topics give them."""

    def __init__(self, rules: BookRules) -> None:
        self._rules = rules
        self._shape = WindowShape(_DAY, rules.horizon)
        self._meanings = ClassMeanings()
        self._waiting: dict[int, _WaitingDay] = {}
        self._labels = LABELS.empty_table()
        self._new_labels: list[pa.Table] = []
        self._labels_since: datetime | None = None
        self._settled = BookSums()
        self._settled_to = -1
        self._newest: dict[int, datetime] = {}
        self._newest_label: datetime | None = None
        self.one_in = 1
        """The number of events for each one that is looked at."""

    def add_pairs(self, pairs: pa.Table) -> None:
        """Take pairs of :data:`PAIRS`; those of days that are settled come too late."""
        newest = pairs.group_by("partition").aggregate([("event_time", "max")]).to_pylist()
        for row in newest:
            before = self._newest.get(row["partition"], row["event_time_max"])
            self._newest[row["partition"]] = max(before, row["event_time_max"])
        days = days_of(pairs)
        for day in np.unique(days[days > self._settled_to]).tolist():
            before_it = self._waiting.get(day, _WaitingDay(PAIRS.empty_table())).pairs
            chosen = self._thinned(pairs.filter(pa.array(days == day)))
            self._waiting[day] = _WaitingDay(pa.concat_tables([before_it, chosen]))
        while sum(waiting.pairs.num_rows for waiting in self._waiting.values()) > self._rules.most_pairs:
            self.one_in *= 2
            self._waiting = {day: _WaitingDay(self._thinned(waiting.pairs)) for day, waiting in self._waiting.items()}

    @property
    def passed(self) -> datetime | None:
        """The event time up to which no partition has more to come; ``None`` without a pair."""
        return min(self._newest.values()) - self._rules.lateness if self._newest else None

    def add_labels(self, labels: pa.Table) -> None:
        """Take labels of :data:`LABELS`."""
        if not labels.num_rows:
            return
        newest = pc.max(labels["known"]).as_py()
        self._newest_label = max(self._newest_label or newest, newest)
        self._new_labels.append(labels)

    def sums(self) -> BookSums:
        """Settle the days whose labels are all due, and return what is known so far."""
        self._unite_labels()
        self._measure_all()
        for day in [day for day in sorted(self._waiting) if self._is_due(day)]:
            self._settled = self._settled.with_day(day, self._measure(day), is_due=True)
            self._settled_to = max(self._settled_to, day)
            del self._waiting[day]
        self._forget_labels()
        sums = self._settled
        for day in sorted(self._waiting):
            sums = sums.with_day(day, self._measure(day), is_due=False)
        return sums

    def _unite_labels(self) -> None:
        # Once a look, as all of them are copied. Once a table would take longer with every table.
        if self._new_labels:
            self._labels = pa.concat_tables([self._labels, *self._new_labels]).combine_chunks()
            self._new_labels = []
            for waiting in self._waiting.values():
                waiting.losses = None

    def _measure_all(self) -> None:
        before = self._meanings.size
        for day in self._waiting:
            self._measure(day)
        # A class that one day has shown has its name on the others, too.
        if self._meanings.size != before:
            for day, waiting in self._waiting.items():
                waiting.losses = None
                self._measure(day)

    def _measure(self, day: int) -> PairLosses:
        waiting = self._waiting[day]
        if waiting.losses is None:
            due = self._shape.at(moment(day * 86_400)).due
            waiting.pairs = distinct(waiting.pairs.combine_chunks(), ONE_EVENT)
            waiting.losses = pair_losses(waiting.pairs, [self._labels], due, self._meanings)
        return waiting.losses

    def _is_due(self, day: int) -> bool:
        """Return whether both topics have gone so far that nothing of a day is to come, days before it included."""
        window = self._shape.at(moment(day * 86_400))
        if self._newest_label is None or self._newest_label < window.due + self._rules.lateness:
            return False
        return self.passed is not None and self.passed >= window.end

    def _forget_labels(self) -> None:
        """Let go of labels of events that are settled: a label is known after its event."""
        if not self._newest:
            return
        reached = int(min(self._newest.values()).timestamp()) // 86_400
        since = moment(min([reached, *self._waiting]) * 86_400) - self._rules.lateness
        if since != self._labels_since:
            self._labels = self._labels.filter(pc.greater_equal(self._labels["known"], pa.scalar(since, TIME)))
            self._labels_since = since

    def _thinned(self, pairs: pa.Table) -> pa.Table:
        if self.one_in == 1:
            return pairs
        offsets = np.asarray(pairs["offset"].to_numpy(), np.int64)
        return pairs.filter(pa.array(offsets % self.one_in == 0))
