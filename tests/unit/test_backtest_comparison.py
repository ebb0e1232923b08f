"""The comparison as a whole: who is better, what is missing, where the sides are furthest apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streaming.backtest.comparison import Comparison, compare
from streaming.backtest.disagreements import PartitionOffset
from streaming.backtest.options import Options
from streaming.backtest.paired import SCHEMA, pair
from streaming.backtest.report import as_json
from streaming.backtest.verdict import FEWEST, Word
from streaming.errors import ConfigurationError, DataError
from tests.support.backtests import NAMES, a_comparison, labels, noisy, side, unhurried

TRUTH = [int(bit) for bit in np.random.default_rng(4).random(600) < 0.4]
GOOD, BAD, ALSO_BAD = noisy(TRUTH, 0.7, 1), noisy(TRUTH, 2.0, 2), noisy(TRUTH, 2.0, 3)
OPTIONS = Options(replicates=200)


def compared(
    recorded: Sequence[float], candidate: Sequence[float], truth: Sequence[Any] | None, options: Options = OPTIONS
) -> Comparison:
    known = None if truth is None else labels(truth)
    return compare(pair(side(recorded), side(candidate, 2)), NAMES, known, options=options)


@pytest.mark.parametrize(
    ("recorded", "candidate", "truth", "word", "sentence"),
    [
        pytest.param(BAD, GOOD, TRUTH, Word.BETTER, "on the better side of zero", id="better"),
        pytest.param(GOOD, BAD, TRUTH, Word.WORSE, "on the worse side of zero", id="worse"),
        pytest.param(BAD, ALSO_BAD, TRUTH, Word.NOT_TOLD, "may be chance", id="zero is in the interval"),
        pytest.param(BAD, GOOD, TRUTH[:40], Word.NOT_TOLD, "A reliable answer needs 30", id="too few labels"),
        pytest.param(BAD, GOOD, None, Word.NOT_TOLD, "Without labels", id="no labels"),
        pytest.param(GOOD, GOOD, TRUTH, Word.SAME, "exactly the same", id="the same"),
    ],
)
def test_the_verdict(
    recorded: list[float], candidate: list[float], truth: list[int] | None, word: Word, sentence: str
) -> None:
    result = compared(recorded, candidate, truth).verdict
    assert result.word is word
    assert sentence in result.sentence


@pytest.mark.parametrize("fewest", [FEWEST - 1, FEWEST])
def test_nothing_is_said_by_fewer_labels_than_the_bound(fewest: int) -> None:
    truth = [1] * fewest + [0] * 200
    result = compared(noisy(truth, 3.0, 1), noisy(truth, 0.1, 2), truth)
    assert (result.verdict.word is Word.BETTER) == (fewest == FEWEST)


def test_a_metric_of_which_less_is_better_is_judged_that_way_round() -> None:
    result = compared(BAD, GOOD, TRUTH, replace(OPTIONS, metric="log_loss"))
    assert result.labelled is not None
    loss = next(one for one in result.labelled.metrics if one.metric.name == "log_loss")
    assert loss.difference.high < 0 < loss.gain.low
    assert (result.verdict.word, result.verdict.metric) == (Word.BETTER, "log_loss")


def test_other_metrics_may_object_to_the_verdict() -> None:
    """Scores moved towards one keep their order, and with it the AUC, but are too high."""
    result = compared(GOOD, [score**0.2 for score in GOOD], TRUTH)
    assert result.verdict.word is Word.NOT_TOLD
    assert any(output.startswith("Log loss is worse") for output in result.verdict.but)


def test_a_metric_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match="choose one of auc, average_precision, accuracy"):
        compared(BAD, GOOD, TRUTH, replace(OPTIONS, metric="gini"))


def test_the_positive_class_can_be_chosen() -> None:
    other = compared(BAD, GOOD, TRUTH, replace(OPTIONS, positive="0"))
    assert (other.positive, other.shift and other.shift.what) == ("0", "probability of “0”")
    first = compared(BAD, GOOD, TRUTH)
    assert other.labelled is not None
    assert first.labelled is not None
    assert other.labelled.metrics[0].candidate == first.labelled.metrics[0].candidate  # AUC is the same from both ends
    assert other.labelled.metrics[3].candidate != first.labelled.metrics[3].candidate  # precision is not


def rejected(table: pa.Table, places: Sequence[int]) -> pa.Table:
    """The side as it is if it made dead letters of some events."""
    rows = table.to_pylist()
    for position in places:
        rows[position] |= {"prediction": None, "probability": None, "reason": "MISSING_FIELD"}
    return pa.Table.from_pylist([{"reason": None, **row} for row in rows])


def test_events_that_only_one_side_predicted_are_counted_and_said_but_not_compared() -> None:
    recorded = rejected(side([0.1] * 6), [0])
    candidate = rejected(side([0.2] * 6, 2), [1, 2]).slice(0, 5)
    result = compare(pair(recorded, candidate), NAMES)
    counted = {(one.recorded, one.candidate): one.events for one in result.coverage.outcomes}
    assert counted == {
        ("prediction", "prediction"): 2,
        ("prediction", "nothing"): 1,
        ("prediction", "dead letter"): 2,
        ("dead letter", "prediction"): 1,
    }
    assert (result.coverage.events, result.coverage.both, result.agreement.value) == (6, 2, 1.0)
    assert result.coverage.candidate.reasons == {"MISSING_FIELD": 2}
    assert result.coverage.recorded.versions == {"1": 5}
    assert [output.split(" of ")[0] for output in result.verdict.but] == [
        "The candidate refuses 2",
        "The candidate has no answer for 1",
        "The candidate predicts 1 events that had been refused.",
    ]


def test_nothing_to_compare_is_said_and_not_reported_on() -> None:
    with pytest.raises(DataError, match="none of 2 events was predicted by both"):
        compare(pair(side([0.1]), side([0.1], offset=[1])), NAMES)
    with pytest.raises(DataError, match="none of 0 events"):
        compare(SCHEMA.empty_table(), NAMES)


@unhurried
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30), st.integers(1, 8))
@example(rows=[(0.0, 5e-324)], most=1)  # of which half is 0
@example(rows=[(0.0, 1e-17), (0.5, 0.6)], most=2)  # beside 1, nothing is left of it
def test_the_largest_disagreements_are_the_largest_and_fetched_once(rows: list[tuple[float, float]], most: int) -> None:
    asked: list[PartitionOffset] = []

    def values(places: Sequence[PartitionOffset]) -> Mapping[PartitionOffset, bytes]:
        asked.extend(places)
        return {place: f"event {place.offset}".encode() for place in places[1:]}

    made = pair(side([row[0] for row in rows]), side([row[1] for row in rows]))
    result = compare(made, NAMES, None, values, Options(largest=most)).disagreements
    apart = sorted(((abs(a - b), -place) for place, (a, b) in enumerate(rows) if a != b), reverse=True)[:most]
    assert [one.distance for one in result] == pytest.approx([distance for distance, _ in apart])
    assert asked == [PartitionOffset(one.partition, one.offset) for one in result]
    assert [one.value for one in result] == [None, *(f"event {one.offset}" for one in result[1:])][: len(result)]


def test_a_disagreement_has_what_either_side_said_and_what_was_true() -> None:
    made = pair(side([0.1, 0.2], 7), side([0.9, 0.3], 8))
    one = compare(made, NAMES, labels([1, None]), lambda _: {PartitionOffset(0, 0): b"\xff"}, OPTIONS).disagreements[0]
    assert (one.event_id, one.recorded.prediction, one.candidate.prediction, one.truth) == ("e0", "0", "1", "1")
    assert (one.recorded.score, one.candidate.score) == pytest.approx((0.1, 0.9))
    assert (one.recorded.model_version, one.candidate.model_version) == (7, 8)
    assert (one.value, one.value_base64) == (None, "/w==")


def test_equal_answers_are_counted_to_the_last_digit() -> None:
    nearly = 0.1 + 2**-56
    assert nearly != 0.1
    assert compared([0.1, 0.1, 0.9], [0.1, nearly, 0.9], None).coverage.identical == 2


def test_another_class_with_the_same_probabilities_is_a_disagreement() -> None:
    recorded = side([0.4, 0.4, 0.1])
    candidate = side([0.4, 0.4, 0.2], prediction=[0.0, 1.0, 0.0])
    result = compare(pair(recorded, candidate), NAMES).disagreements
    assert [(one.offset, one.distance, one.recorded.prediction, one.candidate.prediction) for one in result] == [
        (2, pytest.approx(0.1), "0", "0"),
        (1, 0.0, "0", "1"),
    ]


def test_several_classes_are_compared_by_the_whole_of_their_probabilities() -> None:
    first = side([0.1], probability=[[0.5, 0.3, 0.2]], prediction=[0.0])
    second = side([0.1], probability=[[0.5, 0.1, 0.4]], prediction=[0.0])
    result = compare(pair(first, second), NAMES)
    assert (result.kind, result.classes, result.agreement.value) == ("several classes", ("0", "1", "2"), 1.0)
    assert result.disagreements[0].distance == pytest.approx(0.2)
    assert result.shift is not None
    assert result.shift.recorded.mean == result.shift.candidate.mean == 0.5


def test_numbers_are_compared_as_numbers() -> None:
    truth = np.random.default_rng(1).normal(0, 10, 100)

    def numbers(noise: float) -> pa.Table:
        values = truth + np.random.default_rng(2).normal(0, noise, 100)
        return side(list(values), prediction=list(values), probability=[None] * 100)

    result = compare(pair(numbers(5), numbers(1)), NAMES, labels(list(truth)), options=OPTIONS)
    assert (result.kind, result.predictions, result.verdict.word) == ("numbers", (), Word.BETTER)
    assert result.verdict.metric == "mae"
    assert result.shift is not None
    assert sum(result.shift.recorded.counts) == 100


def test_days_are_drawn_when_there_are_enough_and_the_seed_makes_it_repeatable() -> None:
    result = a_comparison(1_000)
    assert result.labelled is not None
    assert (result.labelled.method.drawn, result.labelled.method.units) == ("days", 21)
    assert as_json(result) == as_json(a_comparison(1_000))
