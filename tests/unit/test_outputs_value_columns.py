"""The JSON of many predictions at once is to the byte that of each by itself."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.events import columns as c
from streaming.models.ref import ModelVersion
from streaming.outputs.arrow_values import ValueWriter, prediction_values, value_column
from streaming.outputs.envelope import Stamp
from streaming.outputs.value_columns import joined_values

CHAMPION = Stamp("features", ModelVersion('fli"ghts', 4, "run4"), "champion", "2026-01-01T00:00:00.000Z")
CANDIDATE = Stamp("features", ModelVersion("flights", 5, "run5"), "candidate", "2026-01-01T00:00:00.000Z")
MANY = 300
SCHEMA = pa.schema(
    [
        (c.PARTITION, pa.int32()),
        (c.OFFSET, pa.int64()),
        (c.EVENT_ID, pa.string()),
        (c.EVENT_TIME, pa.string()),
        (c.PREDICTION, pa.float64()),
        (c.LABEL, pa.string()),
        (c.PROBABILITY, pa.list_(pa.float64())),
        (c.CONFIDENCE, pa.float64()),
        (c.ARM, pa.int8()),
    ]
)
Answer = tuple[str, float, str | None, list[float] | None, float | None]

finite = st.floats(allow_nan=False, allow_infinity=False)
answers = st.tuples(st.text(), finite, st.none() | st.text(), st.lists(finite, min_size=2, max_size=2), finite)


def rows(*given: Answer, arms: list[int] | None = None, **changed: Any) -> pa.RecordBatch:
    """Predictions of partition 3 from offset 7 on."""
    made = [
        dict(zip(SCHEMA.names, (3, 7 + at, name, "2013-01-01T05:15:00.000Z", *answer), strict=False))
        for at, (name, *answer) in enumerate(given)
    ]
    of_arms = arms or [0] * len(made)
    return pa.RecordBatch.from_pylist(
        [{**row, c.ARM: arm, **changed} for row, arm in zip(made, of_arms, strict=True)], SCHEMA
    )


def joined(batch: pa.RecordBatch) -> list[bytes] | None:
    writer = ValueWriter(CHAMPION)
    column = joined_values(batch, writer.head, writer.tail)
    return None if column is None else column.to_pylist()


@given(st.lists(answers, min_size=1))
def test_the_bytes_are_those_of_each_row_by_itself_or_there_are_none(made: list[Answer]) -> None:
    batch = rows(*made)
    column = joined(batch)
    texts = [text for name, _, label, *_ in made for text in (name, label or "")]
    assert (column is None) == any(sign < " " or sign in '"\\' for text in texts for sign in text)
    assert column in (None, prediction_values(batch, [CHAMPION]))


PLAIN: Answer = ("e1", 1.0, "late", [0.25, 0.75], 0.75)
JOINED = {
    "a class with its name": PLAIN,
    "a name beyond ASCII": ("Zürich 日本", 1.0, "spät", [0.25, 0.75], 0.75),
    "no name": ("e1", 0.0, None, [1.0, 0.0], 1.0),
    "a regression": ("e1", -12.5, None, None, None),
    "numbers of all sizes": ("e1", 1e300, "a", [1e-7, 1e-320], -0.0),
}
BY_ITSELF = {
    "an infinite confidence": ("e1", 1.0, None, [0.0, float("inf")], float("inf")),
    "a quote in the id": ('e"1', 1.0, None, None, None),
    "a control character in the class": ("e1", 1.0, "la\nte", None, None),
    "an empty list": ("e1", 1.0, None, [], None),
}


@pytest.mark.parametrize("answer", JOINED.values(), ids=JOINED)
def test_usual_answers_are_joined(answer: Answer) -> None:
    batch = rows(answer, answer)
    assert joined(batch) == prediction_values(batch, [CHAMPION])


@pytest.mark.parametrize("answer", BY_ITSELF.values(), ids=BY_ITSELF)
def test_a_batch_with_another_answer_is_written_row_by_row(answer: Answer) -> None:
    batch = rows(*[PLAIN] * MANY, answer)
    assert joined(batch) is None
    assert value_column(batch, [CHAMPION]).to_pylist() == prediction_values(batch, [CHAMPION])


def test_lists_of_different_lengths_are_written_row_by_row() -> None:
    assert joined(rows(PLAIN, ("e2", 1.0, "late", [0.1, 0.2, 0.7], 0.7))) is None


def test_a_null_among_names_is_jsons_null() -> None:
    batch = rows(PLAIN, ("e2", 0.0, None, [0.5, 0.5], None))
    assert joined(batch) == prediction_values(batch, [CHAMPION])
    assert json.loads(prediction_values(batch, [CHAMPION])[1])["label"] is None


def test_a_slice_of_a_batch_has_its_own_rows() -> None:
    batch = rows(*(((f'"{number}' if number < 3 else f"e{number}"), *PLAIN[1:]) for number in range(9))).slice(3)
    assert joined(batch) == prediction_values(batch, [CHAMPION])


def test_each_row_of_two_arms_has_its_own_versions_fields() -> None:
    batch = rows(*[PLAIN] * MANY, arms=[number % 3 // 2 for number in range(MANY)])
    stamps = [CHAMPION, CANDIDATE]
    values = value_column(batch, stamps).to_pylist()
    assert values == prediction_values(batch, stamps)
    assert {json.loads(value)["role"] for value in values} == {"champion", "candidate"}
