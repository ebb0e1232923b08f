"""The monitor: windows told once and in order, the same after a crash as without one."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from schemas.dead_letter import Rejection
from schemas.drift import StatisticRecord, SummaryRecord
from streaming.drift.decision import DetectionRules
from streaming.drift.monitor import Monitor, MonitoredModel, window_counts
from streaming.drift.windows import CELLS, Closed, Tally, Tile, WindowSpec
from streaming.errors import BrokerUnavailableError
from streaming.models.profile import NON_FINITE_BIN, NULL_BIN, OTHER_BIN, ColumnProfile, ReferenceProfile
from tests.support.versions import flights

HOUR = 3_600_000
NOW = 10_000 * HOUR
PROFILE = ReferenceProfile(
    (
        ColumnProfile("distance", "numeric", {0: 5000, 1: 5000}, edges=(10.0,)),
        ColumnProfile("carrier", "categorical", {0: 5000, 1: 5000}, categories=("AA", "UA")),
    ),
    10_000,
)


class Sink:
    def __init__(self) -> None:
        self.statistics: list[StatisticRecord] = []
        self.summaries: list[SummaryRecord] = []
        self.broken = False

    def publish(self, statistics: Iterable[StatisticRecord], summary: SummaryRecord) -> None:
        self.statistics.extend(statistics)
        self.summaries.append(summary)

    def flush(self) -> None:
        if self.broken:
            raise BrokerUnavailableError("no broker")


class Store:
    def __init__(self) -> None:
        self.kept: list[tuple[int, str]] = []

    def save(self, batch: int, text: str) -> None:
        self.kept.append((batch, text))

    def load(self) -> tuple[int, str] | None:
        return self.kept[-1] if self.kept else None


def a_monitor(sink: Sink, store: Store, profile: ReferenceProfile | None = PROFILE) -> Monitor:
    subject = MonitoredModel("app", "flights", WindowSpec(HOUR, HOUR, 0, 60_000), DetectionRules())
    monitor = Monitor(subject, lambda key: profile, sink, store)
    monitor.restore(NOW)
    return monitor


def an_hour(number: int, *, far: int = 500, rows: int = 1000, version: int = 1) -> Tally:
    """``far`` of the hour's rows are in the upper bin of distance; carriers are as in the reference."""
    cells = {0: rows - far, 1: far, CELLS: rows // 2, CELLS + 1: rows - rows // 2}
    start = number * HOUR
    return Tally("p-0", flights(version), start, start + HOUR - 1, rows, cells)


def told(sink: Sink) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.window.start[11:13], one.state, one.moved) for one in sink.summaries]


def test_windows_are_told_with_a_warning_first_and_drift_after_the_second_signal() -> None:
    sink = Sink()
    monitor = a_monitor(sink, Store())
    for number, far in enumerate((500, 700, 700, 500, 500, 500)):
        monitor.take(number, [an_hour(number, far=far)], NOW)
    monitor.finish()
    moved = ("distance",)
    assert told(sink) == [
        ("00", "stable", ()),
        ("01", "warning", moved),
        ("02", "drift", moved),
        ("03", "drift", moved),
        ("04", "stable", ()),
        ("05", "stable", ()),
    ]


def test_a_restart_goes_on_with_counts_and_memory() -> None:
    whole, cut = Sink(), Sink()
    without, store = a_monitor(whole, Store()), Store()
    for number, far in enumerate((500, 700, 700, 700)):
        tally = an_hour(number, far=far)
        without.take(number, [tally], NOW)
        monitor = a_monitor(cut, store)
        assert not monitor.counted(number)
        monitor.take(number, [tally], NOW)
        assert monitor.counted(number)
    assert [one.to_json() for one in cut.summaries] == [one.to_json() for one in whole.summaries]
    assert cut.summaries[-1].state == "drift"


def test_a_batch_whose_windows_could_not_be_published_is_taken_again_with_the_same_ids() -> None:
    sink, store = Sink(), Store()
    monitor = a_monitor(sink, store)
    monitor.take(0, [an_hour(0)], NOW)
    sink.broken = True
    with pytest.raises(BrokerUnavailableError):
        monitor.take(1, [an_hour(1)], NOW)
    sink.broken = False
    monitor.restore(NOW)
    assert not monitor.counted(1)
    monitor.take(1, [an_hour(1)], NOW)
    monitor.take(2, [an_hour(2)], NOW)
    assert sink.summaries[0].to_json() == sink.summaries[1].to_json()
    assert len({one.window.id for one in sink.summaries}) == 2


def test_time_alone_closes_the_last_window_of_an_idle_topic() -> None:
    sink, store = Sink(), Store()
    monitor = a_monitor(sink, store)
    monitor.take(0, [an_hour(0)], NOW)
    assert monitor.wait(NOW + 59_000) == []
    assert [one.closed_by for one in monitor.wait(NOW + 61_000)] == ["idle"]
    again = a_monitor(sink, store)
    assert again.wait(NOW + 120_000) == []


def test_a_version_without_a_profile_is_counted_and_said_to_have_no_reference() -> None:
    sink = Sink()
    monitor = a_monitor(sink, Store(), profile=None)
    monitor.take(0, [Tally("p-0", flights(1), 0, 1, 800, {})], NOW)
    monitor.finish()
    assert (sink.summaries[0].rows, [one.name for one in sink.summaries[0].columns]) == (800, ["invalid"])
    assert "no reference profile" in sink.summaries[0].cause


def test_every_record_is_json_with_an_id_of_its_own() -> None:
    sink = Sink()
    monitor = a_monitor(sink, Store())
    monitor.take(0, [an_hour(0), an_hour(0, version=2)], NOW)
    monitor.finish()
    values = [one.to_json() for one in sink.statistics] + [one.to_json() for one in sink.summaries]
    ids = [json.loads(value)["id"] for value in values]
    assert len(set(ids)) == len(ids) > 20


def test_a_dead_letter_that_names_a_column_is_counted_in_its_special_bin() -> None:
    rejected = {
        Rejection("UNSEEN_CATEGORY", "carrier"): 3,
        Rejection("NULL_FEATURE", "distance"): 2,
        Rejection("NON_FINITE", "distance"): 1,
        Rejection("MALFORMED_JSON"): 4,
    }
    tile = Tile(10)
    tile.cells.update({0: 10, CELLS: 10})
    tile.rejected.update(rejected)
    counts = window_counts(Closed(flights(1), 0, HOUR, tile, 0, "end"), PROFILE)
    assert counts.columns == ({0: 10, NULL_BIN: 2, NON_FINITE_BIN: 1}, {0: 10, OTHER_BIN: 3})
    assert (counts.rows, counts.invalid) == (10, 10)
