"""Joining the sides, and reading what their numbers mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.backtest.answers import UNKNOWN, AnswerKind, Answers, answers
from streaming.backtest.coverage import predicted_by_both
from streaming.backtest.labels import read_labels
from streaming.backtest.paired import SCHEMA, pair
from streaming.errors import ConfigurationError, DataError
from tests.support.backtests import labels, side, unhurried

places = st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 9)), st.floats(0, 1), max_size=20)


def placed(found: dict[tuple[int, int], float]) -> pa.Table:
    columns = {"partition": [p for p, _ in found], "offset": [o for _, o in found]}
    return side(list(found.values()), 1, **columns)


@unhurried
@given(places, places)
def test_a_pair_has_what_each_side_says_of_the_place_and_every_place_once(
    recorded: dict[tuple[int, int], float], candidate: dict[tuple[int, int], float]
) -> None:
    if not recorded or not candidate:
        return
    result = pair(placed(recorded), placed(candidate))
    assert result.schema == SCHEMA
    rows = result.to_pylist()
    assert [(row["partition"], row["offset"]) for row in rows] == sorted(recorded.keys() | candidate.keys())
    for row in rows:
        position = (row["partition"], row["offset"])
        for name, side_ in (("recorded", recorded), ("candidate", candidate)):
            score = side_.get(position)
            assert row[f"{name}_probability"] == (None if score is None else [1 - score, score])


def test_an_event_twice_on_a_side_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 rows of the candidate side"):
        pair(side([0.1]), side([0.1, 0.2], offset=[0, 0]))


def test_times_may_be_text_or_timestamps_and_id_and_time_come_from_whichever_side_has_them() -> None:
    with_time = side([0.1], event_time=["2013-06-01T00:00:00.500Z"])
    without = side([0.1], event_id=[None])
    result = pair(without, with_time).to_pylist()[0]
    assert result["event_id"] == "e0"
    assert result["event_time"] == pd.Timestamp("2013-06-01T00:00:00.500Z")


def read(recorded: pa.Table, candidate: pa.Table, known: pa.Table | None = None, positive: str = "") -> Answers:
    return answers(predicted_by_both(pair(recorded, candidate)), known, positive)


def named(scores: list[float], names: tuple[str, str], version: int = 1) -> pa.Table:
    return side(scores, version, label=[names[int(score > 0.5)] for score in scores])


def test_versions_that_number_their_classes_differently_are_compared_by_the_classes_names() -> None:
    result = read(named([0.1, 0.8], ("late", "early")), named([0.9, 0.2], ("early", "late")))
    assert result.classes == ("early", "late")
    assert result.recorded.predicted.tolist() == result.candidate.predicted.tolist() == [1, 0]
    assert result.scores is not None
    assert result.scores[0] == pytest.approx(result.scores[1])


def test_versions_on_one_side_may_differ_as_well() -> None:
    served = pa.concat_tables(
        [named([0.1, 0.8], ("a", "b"), 1), named([0.1, 0.8], ("b", "a"), 2).set_column(1, "offset", pa.array([2, 3]))]
    )
    result = read(served, side([0.1] * 4, label=["a", "b", "b", "a"], prediction=[0.0, 1.0, 1.0, 0.0]))
    assert result.recorded.predicted.tolist() == result.candidate.predicted.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("recorded", "candidate", "truth", "classes"),
    [
        pytest.param([0.1, 0.2], [0.1, 0.9], None, ("no", "yes"), id="as the other side does"),
        pytest.param([0.1, 0.2], [0.1, 0.2], ["no", "yes"], ("no", "yes"), id="by the one label that is left"),
        pytest.param([0.1, 0.2], [0.1, 0.2], None, ("class 1", "no"), id="else by its number"),
    ],
)
def test_a_class_that_a_version_never_predicts_is_named(
    recorded: list[float], candidate: list[float], truth: list[str] | None, classes: tuple[str, str]
) -> None:
    names = ("no", "yes")
    result = read(named(recorded, names), named(candidate, names), labels(truth) if truth else None)
    assert result.classes == classes


@pytest.mark.parametrize("spellings", [("0", "1"), ("false", "true"), ("0.0", "1.0")])
def test_a_label_may_be_written_as_files_write_it(spellings: tuple[str, str]) -> None:
    result = read(side([0.1, 0.9, 0.9]), side([0.1, 0.9, 0.9]), labels([spellings[0], spellings[1], None]))
    assert (result.kind, result.truth.tolist()) == (AnswerKind.TWO_CLASSES, [0, 1, UNKNOWN])
    assert result.labelled.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("known", "positive", "message"),
    [
        pytest.param(labels(["late"]), "", "the labels are 'late', but the models predict '0', '1'", id="other words"),
        pytest.param(
            pa.table({"event_id": ["x"], "label": ["1"]}), "", "ids like 'x', the events have ids like 'e0'", id="ids"
        ),
        pytest.param(None, "late", "'late' is not one of '0', '1'", id="no such class"),
    ],
)
def test_labels_and_options_that_do_not_fit_are_refused_with_both_sides_words(
    known: pa.Table | None, positive: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(side([0.1, 0.9]), side([0.1, 0.9]), known, positive)


def numbers(values: list[float]) -> pa.Table:
    return side(values, prediction=values, probability=[None] * len(values))


def test_predictions_that_are_no_classes_are_numbers() -> None:
    result = read(numbers([1.0, 2.5]), numbers([1.0, 3.0]), labels(["1.25", None]))
    assert (result.kind, result.recorded.number.tolist()) == (AnswerKind.NUMBERS, [1.0, 2.5])
    assert result.labelled.tolist() == [True, False]
    with pytest.raises(ConfigurationError, match="predict numbers"):
        read(numbers([2.5]), numbers([2.5]), labels(["late"]))


@pytest.mark.parametrize("value", [0.5, -1.0, 1_000_000.0])
def test_a_single_value_that_is_no_class_makes_them_numbers(value: float) -> None:
    assert read(numbers([1.0, 0.0]), numbers([1.0, value])).kind is AnswerKind.NUMBERS


def test_classes_without_names_and_probabilities_are_classes_all_the_same() -> None:
    result = read(numbers([1.0, 0.0]), numbers([1.0, 2.0]))
    assert (result.kind, result.classes, result.scores) == (AnswerKind.SEVERAL_CLASSES, ("0", "1", "2"), None)


def test_one_event_without_probabilities_takes_the_scores_of_all() -> None:
    result = read(side([0.1, 0.9], probability=[[0.9, 0.1], None]), side([0.1, 0.9]))
    assert result.scores is None


TABLE = pd.DataFrame({"event_id": ["1", "2", "3", "1"], "label": [1.0, 0.0, None, 0.0], "more": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("l.parquet", TABLE.to_parquet),
        ("l.csv", lambda path: TABLE.to_csv(path, index=False)),
        ("l.csv.gz", lambda path: TABLE.to_csv(path, index=False)),
        ("l.jsonl", lambda path: TABLE.to_json(path, orient="records", lines=True)),
        ("l.2013.ndjson.gz", lambda path: TABLE.to_json(path, orient="records", lines=True)),
    ],
)
def test_labels_are_read_and_the_last_one_of_an_event_counts(tmp_path: Path, name: str, write: Any) -> None:
    write(tmp_path / name)
    assert read_labels(tmp_path / name).sort_by("event_id").to_pylist() == [
        {"event_id": "1", "label": "0"},
        {"event_id": "2", "label": "0"},
    ]


@pytest.mark.parametrize("values", [["late", "on time"], [True, False], [1, 0], [0.5, 1.5]], ids=str)
def test_labels_are_text_as_one_would_write_them(tmp_path: Path, values: list[Any]) -> None:
    pd.DataFrame({"event_id": ["a", "b"], "label": values}).to_parquet(tmp_path / "l.parquet")
    result = read_labels(tmp_path / "l.parquet")["label"].to_pylist()
    assert result == [str(value).lower() for value in values]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("l.csv", "id,label\n1,2\n", "has no column event_id", id="a column is missing"),
        pytest.param("l.parquet", "nonsense", "cannot be read", id="not what its name says"),
        pytest.param("l.xlsx", "", "not known by its name", id="another format"),
        pytest.param("l.csv", None, "cannot be read", id="not there"),
    ],
)
def test_a_file_of_labels_that_cannot_be_used_says_why(
    tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        read_labels(tmp_path / name)


def test_hours_are_counted_in_whole_hours() -> None:
    times = ["2013-06-01T00:59:59.999Z", "2013-06-01T01:00:00.000Z"]
    result = read(side([0.1, 0.9], event_time=times), side([0.1, 0.9]))
    assert result.hour is not None
    assert np.diff(result.hour).tolist() == [1]
