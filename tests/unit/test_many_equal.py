"""A batch of many models comes out as each of them alone would answer its own events, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streaming.events import columns as c
from streaming.events.columns import RESULTS
from streaming.scoring.compiled.values import dot
from streaming.scoring.row_pass import JsonRowPass
from tests.support.flight_models import CARRIERS, flight_package
from tests.support.laws import examples
from tests.support.many import ManyBench, many_event, records_of_values

COMPARED = (*c.ENVELOPE, *RESULTS.names, c.BINS)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> ManyBench:
    bench = ManyBench(tmp_path_factory.mktemp("equal"))
    for seed, name in enumerate("abcd"):
        bench.put(flight_package(bench.folder / name, f"churn-{name}", seed))
    bench.put(flight_package(bench.folder / "strict", "churn-strict", 5, strict=True))
    bench.put(flight_package(bench.folder / "plain", "churn-plain", 6, profiled=False))
    bench.add("churn-x", 1_000.0)
    bench.add("churn-bounded", 2_000.0, bounded=True)
    return bench


values = st.builds(
    many_event,
    st.integers(0, 200),
    st.sampled_from(["a", "b", "c", "d", "strict", "plain", "x", "bounded", "nobody"]),
    carrier=st.sampled_from([*CARRIERS, "ZZ", None, 7]),
    distance=st.sampled_from([0, -1, 2_475, 2**31 - 1, 1.5]),
    wind=st.sampled_from([0.0, -0.0, 12.5, 1e308, -1e308, None, ...]),
)


@examples(50)
@given(batch=st.lists(values, min_size=1, max_size=60))
def test_each_models_rows_are_what_it_says_of_its_own_events_alone(flights: ManyBench, batch: list[bytes]) -> None:
    # A model that throws on more is asked for no other event of the batch.
    assume(sum(b'"bounded"' in value for value in batch) <= 20)
    compare_with_each_alone(flights, batch)


def test_more_texts_than_are_coded_are_looked_up_as_they_are(flights: ManyBench) -> None:
    carriers = [*CARRIERS * 20, *(f"C{number}" for number in range(300))]
    batch = [
        many_event(number, "abcd"[number % 4], carrier=carrier, distance=number, wind=number / 7)
        for number, carrier in enumerate(carriers)
    ]
    compare_with_each_alone(flights, batch)


def compare_with_each_alone(flights: ManyBench, batch: Sequence[bytes]) -> None:
    routed = flights.routed()
    scored = routed.score(records_of_values(batch))
    arms = scored.column(c.ARM).to_pylist()
    for number, version in enumerate(routed.others, 1):
        rows = [row for row, arm in enumerate(arms) if arm == number]
        alone = answers_alone(flights.passes[version.name], [batch[row] for row in rows])
        assert [spelled(scored, row) for row in rows] == alone


def answers_alone(row_pass: JsonRowPass, events: Sequence[bytes]) -> list[list[str] | str]:
    """What a model's own pass says of all its events at once, or of each where it throws on one."""
    try:
        scored = row_pass.score(records_of_values(events))
    except Exception:
        if len(events) == 1:
            return ["SCORING_FAILED"]
        return [answer for event in events for answer in answers_alone(row_pass, [event])]
    return [spelled(scored, row) for row in range(len(events))]


def spelled(scored: pa.RecordBatch, row: int) -> list[str] | str:
    """A row's columns as text, in which numbers that differ in a bit differ; of a rejected one the verdict alone."""
    verdict: Any = scored.column(c.VERDICT)[row].as_py()
    if verdict is not None:
        return str(verdict["reason"]) if verdict["reason"] == "SCORING_FAILED" else [str(verdict)]
    return [repr(scored.column(name)[row].as_py()) for name in COMPARED]


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324])


@examples(100)
@given(data=st.data(), rows=st.integers(0, 5), size=st.integers(0, 40))
def test_a_dot_product_adds_up_from_the_first_column_to_the_last(data: st.DataObject, rows: int, size: int) -> None:
    weights = data.draw(st.lists(numbers, min_size=size, max_size=size))
    matrix = [data.draw(st.lists(numbers, min_size=size, max_size=size)) for _ in range(rows)]
    with np.errstate(all="ignore"):
        answers = dot(np.array(matrix).reshape(rows, size), np.array(weights)).tolist()
    for row, answer in zip(matrix, answers, strict=True):
        # Not by sum(), which corrects its rounding from Python 3.12 on.
        total = 0.0
        for number, weight in zip(row, weights, strict=True):
            total += number * weight
        assert repr(answer) == repr(total)


def test_rows_beyond_one_block_are_added_up_as_those_within() -> None:
    draw = np.random.default_rng(7)
    rows, weights = draw.normal(size=(3_000, 37)), draw.normal(size=37)
    together = dot(rows, weights)
    assert together.tolist() == [dot(row[None, :], weights)[0] for row in rows]
