"""Batches of records joined before they are scored."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from streaming.engines.rows import in_larger

BYTES_A_ROW = 8


def batches(*lengths: int) -> list[pa.RecordBatch]:
    """Batches of so many rows, which are numbered through."""
    starts = [sum(lengths[:position]) for position in range(len(lengths))]
    return [
        pa.record_batch({"offset": pa.array(range(start, start + length), pa.int64())})
        for start, length in zip(starts, lengths, strict=True)
    ]


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 20))
def test_joined_batches_have_the_same_rows_in_order_and_are_no_smaller_than_asked_for(
    lengths: list[int], rows: int
) -> None:
    joined = list(in_larger(iter(batches(*lengths)), rows * BYTES_A_ROW))
    assert [offset for batch in joined for offset in batch.column("offset").to_pylist()] == list(range(sum(lengths)))
    assert all(batch.num_rows >= rows for batch in joined[:-1])


def test_a_batch_is_handed_on_as_soon_as_it_is_large_enough() -> None:
    arriving = iter(batches(2, 2, 2))
    joined = next(in_larger(arriving, 4 * BYTES_A_ROW))
    assert joined.num_rows == 4
    assert next(arriving).num_rows == 2, "nobody waits for more than was asked for"


def test_a_large_batch_is_not_copied() -> None:
    (large,) = batches(5)
    assert next(in_larger(iter([large]), BYTES_A_ROW)) is large
