"""Which windows ``quality run`` measures: those that lie between ``--from`` and ``--to``, as for ``drift report``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from jobs.verbs.quality.options import QualityOptions
from schemas.quality import QualityRecord
from streaming.quality.cohort import MeasuringRules
from streaming.quality.rounds import QualityRounds, QualitySubject
from streaming.quality.windows import QualityWindow
from tests.support.labels import DAY, predicted, table
from tests.support.qualities import SHAPE

DAYS = 6
END = DAY + timedelta(days=DAYS)


class EventEachDay:
    """A stream of six days with a prediction at noon of each, and no labels."""

    def following(self, since: datetime) -> datetime | None:
        noons = (DAY + timedelta(days=day, hours=12) for day in range(DAYS))
        return next((noon for noon in noons if noon >= since), None)

    def obstacle(self, window: QualityWindow) -> str | None:
        return None

    def predictions(self, window: QualityWindow) -> pa.Table:
        noon = window.start + timedelta(hours=12)
        return table([predicted(0, 1.0, [0.2, 0.8], event_time=noon)] if DAY <= noon < END else [])

    def labels(self, window: QualityWindow, until: datetime) -> Iterator[pa.Table]:
        yield from ()


class Published:
    """A topic in memory."""

    def __init__(self) -> None:
        self.starts: list[str] = []

    def has(self, start: str, end: str) -> bool:
        return start in self.starts

    def publish(self, records: Sequence[QualityRecord]) -> bool:
        self.starts.append(records[0].start)
        return True


def rounds(now: datetime = END + timedelta(days=30)) -> QualityRounds:
    subject = QualitySubject("penstock", "flights", SHAPE, timedelta(hours=1), MeasuringRules())
    return QualityRounds(subject, EventEachDay(), Published(), lambda: now)


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        pytest.param(None, None, [0, 1, 2, 3, 4, 5], id="all"),
        pytest.param("2013-06-03", "2013-06-05", [2, 3], id="whole days"),
        pytest.param("2013-06-03T00:00:01Z", "2013-06-05", [3], id="a window that has begun before"),
        pytest.param("2013-06-03", "2013-06-05T23:59:59Z", [2, 3], id="a window that ends later"),
        pytest.param("2013-06-03T06:00:00Z", "2013-06-03T18:00:00Z", [], id="within a window"),
        pytest.param("2013-06-05T06:00:00Z", None, [5], id="from then on"),
        pytest.param(None, "2013-06-02", [0], id="up to then"),
    ],
)
def test_windows_are_measured_that_begin_and_end_between(since: str | None, until: str | None, days: list[int]) -> None:
    period = QualityOptions(since=since, until=until).period()
    measured = rounds().measured(period.since, period.until)
    assert [(cohort.window.start - DAY).days for cohort in measured] == days


def test_a_follower_publishes_the_windows_that_begin_then_or_later() -> None:
    closed = rounds().closed(DAY + timedelta(days=3, seconds=1))
    # No later prediction says that the last day is whole.
    assert [(cohort.window.start - DAY).days for cohort in closed] == [4]


def test_the_present_day_is_measured_before_it_is_over() -> None:
    measured = list(rounds(now=DAY + timedelta(hours=18)).measured(None, None))
    assert [cohort.window.start for cohort in measured] == [DAY]
