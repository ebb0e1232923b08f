"""Which events of a batch are scored once more."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streaming.engines.recheck import sample
from streaming.offsets import OffsetRange, covers

_RANGES = st.dictionaries(
    st.integers(0, 20),
    st.builds(lambda start, size: OffsetRange(start, start + size), st.integers(0), st.integers(0, 5_000)),
)


@given(_RANGES, st.integers(1, 2_000), st.randoms(use_true_random=False))
def test_a_sample_lies_in_its_batch_and_is_bounded(ranges: dict[int, OffsetRange], one_in: int, random: Random) -> None:
    runs = sample(ranges, one_in, random)

    assert covers(ranges, runs)
    assert runs.keys() == ranges.keys(), "Spark reads a topic's partitions all or none"
    assert all(run.end - run.start <= 500 for run in runs.values())


def test_one_event_in_so_many_is_sampled_however_small_the_batches_are() -> None:
    random = Random(7)
    for size, one_in in ((3, 10), (10, 3), (1_000, 100)):
        drawn = [sample({0: OffsetRange(50, 50 + size)}, one_in, random) for _ in range(2_000)]
        sampled = sum(run.end - run.start for runs in drawn for run in runs.values())
        assert abs(sampled / (2_000 * size) - 1 / one_in) < 0.15 / one_in


def test_every_offset_has_its_turn() -> None:
    random = Random(7)
    runs = [sample({0: OffsetRange(5, 15)}, 10, random)[0] for _ in range(300)]
    assert {run.start for run in runs} == set(range(5, 15))
    assert {run.end - run.start for run in runs} == {1}
