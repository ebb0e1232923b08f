"""Counting Arrow batches: every row once, in the cell that a plain loop would count it in."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import Rejection
from streaming.drift.tally import tally
from streaming.drift.windows import CELLS

HOUR = 3_600_000
WIDTH = {1: 3, 2: 2}
"""Profiled columns of each version."""

REJECTIONS = Rejection("A"), Rejection("A", "x"), Rejection("B", "x:y")

Row = tuple[str, int, int, bytes | None, Rejection | None]


def a_row(version: int) -> st.SearchStrategy[Row]:
    bins = st.binary(min_size=WIDTH[version], max_size=WIDTH[version])
    partition, time = st.sampled_from(["p-0", "p-1"]), st.integers(0, 3 * HOUR)
    scored = st.tuples(partition, st.just(version), time, bins | st.none(), st.none())
    rejected = st.tuples(partition, st.just(version), time, st.none(), st.sampled_from(REJECTIONS))
    return scored | rejected


rows = st.lists(a_row(1) | a_row(2), max_size=40)


def batch(chosen: list[Row]) -> pa.RecordBatch:
    partitions, versions, times, bins, rejections = zip(*chosen, strict=True) if chosen else ((), (), (), (), ())
    return pa.RecordBatch.from_arrays(
        [
            pa.array(partitions, pa.string()),
            pa.array(versions, pa.int32()),
            pa.array([time - time % HOUR for time in times], pa.int64()),
            pa.array(times, pa.int64()),
            pa.array(bins, pa.binary()),
            pa.array([rejection and rejection.reason for rejection in rejections], pa.string()),
            pa.array([rejection and rejection.field for rejection in rejections], pa.string()),
        ],
        ["partition", "version", "tile", "reached", "bins", "reason", "field"],
    )


@given(rows, st.integers(0, 40))
def test_every_row_is_counted_once_however_the_batches_are_cut(chosen: list[Row], cut: int) -> None:
    whole = batch(chosen)
    # A slice shares its parent's memory and begins somewhere in it.
    parts = [whole.slice(0, cut), whole.slice(min(cut, len(chosen)))]
    result = [row for part in tally(iter(parts)) for row in part.to_pylist()]
    expected: dict[tuple[str, int, int], tuple[int, Counter[int], Counter[Rejection], int]] = {}
    for partition, version, time, bins, rejection in chosen:
        key = (partition, version, time - time % HOUR)
        count, cells, rejected, latest = expected.get(key, (0, Counter(), Counter(), 0))
        cells.update(position * CELLS + value for position, value in enumerate(bins or b""))
        rejected.update([rejection] if rejection else [])
        expected[key] = (count + (rejection is None), cells, rejected, max(latest, time))
    assert {(row["partition"], row["version"], row["tile"]) for row in result} == set(expected)
    for row in result:
        count, cells, rejected, latest = expected[row["partition"], row["version"], row["tile"]]
        assert (row["rows"], row["latest"]) == (count, latest)
        assert dict(zip(row["cells"], row["counts"], strict=True)) == cells
        assert dict(zip(map(Rejection, row["reasons"], row["fields"]), row["rejected"], strict=True)) == rejected


def test_rows_of_another_width_than_the_version_s_are_left_out_of_its_bins() -> None:
    chosen: list[Row] = [("p", 1, 0, b"\x01\x02", None), ("p", 1, 0, b"\x01", None), ("p", 1, 0, b"\x01\x03", None)]
    (result,) = (row for part in tally(iter([batch(chosen)])) for row in part.to_pylist())
    assert result["rows"] == 3
    assert dict(zip(result["cells"], result["counts"], strict=True)) == {1: 2, CELLS + 2: 1, CELLS + 3: 1}


def test_nothing_is_counted_of_nothing() -> None:
    assert list(tally(iter([batch([])]))) == []
