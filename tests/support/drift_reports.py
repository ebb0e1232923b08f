"""Windows judged by the real judge on counts that are drawn, as records, for the tests of report and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from schemas.drift import SummaryRecord, Window
from streaming.clock import isoformat, moment
from streaming.drift.decision import DetectionRules, WindowCounts, WindowJudge
from streaming.drift.measures import summary_record
from streaming.drift.report.facts import Report
from streaming.drift.report.make import make_report
from streaming.models.profile import ReferenceProfile
from tests.support.drifts import categorical, counted, normal_shares, numeric

START = 1_370_044_800.0
"""2013-06-01."""
DAY = 86_400.0
_BINS = 10
_REFERENCE = 200_000


class Watch:
    """A version whose columns are normal and cut at the deciles, the last one categories; windows of a day.

    The first columns have ``names``, and the first category is ``category``.
    """

    def __init__(self, columns: int = 4, version: int = 1, names: Sequence[str] = (), category: str = "c0") -> None:
        self.version = version
        self._names = [*names, *(f"c{position}" for position in range(len(names), columns))]
        row = [round(_REFERENCE * part) for part in normal_shares(_BINS, nulls=0.01)]
        *numbers, last = self._names
        result = [numeric(row, name) for name in numbers]
        categories = categorical(row, last)
        categories = replace(categories, categories=(category, *categories.categories[1:]))
        self.profile = ReferenceProfile((*result, categories), _REFERENCE)
        self._judge = WindowJudge(self.profile, DetectionRules(chance=0.001))
        self._drawn = np.random.default_rng(7)
        self._days = 0

    def skip(self, days: int = 1) -> None:
        """Let time pass without a window."""
        self._days += days

    def window(self, *shifts: float, rows: int = 5_000, invalid: int = 0) -> SummaryRecord:
        """Judge the next day, its first columns shifted by so many deviations."""
        shifts = (*shifts, *([0.0] * len(self._names)))[: len(self._names)]
        columns = [self._drawn.multinomial(rows, _shares(each)) for each in shifts]
        start = START + self._days * DAY
        counts = WindowCounts(start, start + DAY, rows, invalid, tuple(counted(row) for row in columns))
        self._days += 1
        ends = (isoformat(moment(time)) for time in (start, start + DAY))
        window = Window("penstock", "flights", self.version, *ends)
        return summary_record(window, counts, self._judge.judge(counts), 0, "watermark")


def made(watch: Watch, records: Sequence[SummaryRecord]) -> Report:
    """The report on one version's windows."""
    return make_report("penstock", "flights", records, {watch.version: watch.profile})


def _shares(shift: float) -> list[float]:
    return normal_shares(_BINS, shift, nulls=0.01)
