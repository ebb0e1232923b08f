"""One event without Arrow has the answer that a pass over a batch has, to the bit, or none."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.events.arrow_guards import failing
from streaming.events.guards import InCategories, InRange, InVocabulary, NotNull
from streaming.events.single_guards import single_test
from streaming.formats.json.tiers.decoder import TieredRowDecoder
from streaming.models.seams import Guard
from streaming.models.served import ServedModel
from streaming.scoring.compiled.row_program import ROW_BUILDERS, ModelAnswer, row_program
from streaming.scoring.compiled.scorer import CompiledScorer, load_scorer
from streaming.scoring.row_pass import JsonRowPass
from streaming.settings import EventSettings
from streaming.training.flights import departures, events
from tests.support import damage
from tests.support.exports import EVENTS, edge_batch
from tests.support.laws import examples
from tests.support.malformed import CASES, LISTS, with_lists
from tests.support.malformed import SIGNATURE as MALFORMED_COLUMNS
from tests.support.saved import Stage, save_pipeline
from tests.support.servers import flight_package, loaded
from tests.unit.test_export_stages import BY_NUMBER, FEW_LEFT, LEAF, MANY_LEFT, Case, save_trees, with_prediction
from tests.unit.test_export_stages import CASES as STAGES
from tests.unit.test_scoring_row_pass import records

MOMENT = pa.timestamp("us", tz="UTC")
TREES = [kind for kind in ROW_BUILDERS if "Tree" in kind or "Forest" in kind or "GBT" in kind]
EVERY_TYPE: list[Stage] = [
    (
        "feature.StringIndexerModel",
        {
            "handleInvalid": "keep",
            "inputCols": ["carrier", "dest", "seats", "night"],
            "outputCols": ["i1", "i2", "i3", "i4"],
        },
    ),
    ("feature.ImputerModel", {"inputCols": ["gust", "weight"], "outputCols": ["gust", "light"]}),
    (
        "feature.VectorAssembler",
        {
            "handleInvalid": "keep",
            "inputCols": ["i1", "i2", "i3", "i4", "distance", "gust", "light", "number"],
            "outputCol": "v",
        },
    ),
    ("regression.LinearRegressionModel", {"featuresCol": "v", "predictionCol": "p"}),
]
"""A pipeline over every column of :mod:`tests.support.malformed`."""
WEIGHTS = {"type": 1, "size": None, "indices": None, "values": [0.1, 0.7, -0.3, 11.0, 1.5, -0.25, 3.0, 1e-3]}
FITTED: dict[str, dict[str, Any]] = {
    "feature.StringIndexerModel": {"labelsArray": [["UA", ""], ["São 😀é"], ["7", "-1"], ["false", "true"]]},
    "feature.ImputerModel": {"gust": 3.25, "weight": 0.3},
    "regression.LinearRegressionModel": {"intercept": 1.0, "coefficients": WEIGHTS, "scale": 1.0},
}


def bits(number: float) -> bytes:
    return struct.pack(">d", math.nan if math.isnan(number) else number)


def exact(answer: ModelAnswer) -> tuple[bytes, str | None, list[bytes] | None]:
    """An answer in which -0.0 is not 0.0."""
    return (
        bits(answer.prediction),
        answer.label,
        None if answer.probability is None else [*map(bits, answer.probability)],
    )


def hold(row_pass: JsonRowPass, values: Sequence[bytes]) -> tuple[int, int]:
    """Hold single events' answers against the pass; return how many have one, and how many are valid."""
    singles = [row_pass.single(value) for value in values]
    rows = row_pass.score(records(*values)).to_pylist()
    for value, single, row in zip(values, singles, rows, strict=True):
        if single is None:
            continue
        assert row[c.VERDICT] is None, value
        assert exact(single.answer) == exact(ModelAnswer(row[c.PREDICTION], row[c.LABEL], row[c.PROBABILITY])), value
        assert single.event[c.EVENT_ID] == row[c.EVENT_ID]
        assert single.event[c.EVENT_TIME] == pa.scalar(row[c.EVENT_TIME], MOMENT).value, value
    return len(singles) - singles.count(None), sum(row[c.VERDICT] is None for row in rows)


@pytest.fixture(scope="module")
def every_type(tmp_path_factory: pytest.TempPathFactory) -> JsonRowPass:
    folder = tmp_path_factory.mktemp("every-type")
    package = replace(
        flight_package(folder / "flights", golden=None),
        pipeline_dir=save_pipeline(folder / "model", EVERY_TYPE, FITTED),
        signature=MALFORMED_COLUMNS,
    )
    return row_pass_of(loaded(package))


def row_pass_of(model: ServedModel) -> JsonRowPass:
    assert isinstance(model.row_pass, JsonRowPass)
    return model.row_pass


def test_a_malformed_event_has_no_answer_and_a_valid_one_that_of_the_pass(every_type: JsonRowPass) -> None:
    answered, valid = hold(every_type, [value for value in CASES.values() if value is not None])
    # The others nest, escape a quote or have fields that nobody reads: they need the tiers of a batch.
    assert 0.4 * valid < answered <= valid


@given(st.lists(damage.events() | damage.damaged(), min_size=1, max_size=5))
@examples(50)
def test_an_event_alone_has_the_answer_of_the_pass_or_none(every_type: JsonRowPass, values: list[bytes]) -> None:
    hold(every_type, values)


def test_each_flight_has_an_answer_once_the_fields_that_nobody_reads_are_known(tmp_path: Path) -> None:
    row_pass = row_pass_of(loaded(flight_package(tmp_path)))
    values = [departure.value for departure in events(departures().head(400))]
    assert hold(row_pass, values[:100]) == (0, 100)
    assert hold(row_pass, values[100:]) == (300, 300)
    successor = replace(row_pass, unread=row_pass.learnt())
    assert hold(successor, values[:1]) == (1, 1)


@pytest.mark.parametrize(
    ("envelope", "event_id", "moment"),
    [
        pytest.param({"id": "carrier", "time": None}, "UA", None, id="an id that the model reads"),
        pytest.param({"id": None, "time_format": "epoch_ms"}, None, -20_000, id="a time in milliseconds"),
        pytest.param({"key": "customer", "time": None}, "e", None, id="a key, which no answer has"),
    ],
)
def test_an_event_has_what_the_envelope_names(
    tmp_path: Path, envelope: dict[str, Any], event_id: str | None, moment: int | None
) -> None:
    row_pass = row_pass_of(loaded(flight_package(tmp_path), EventSettings(**envelope)))
    row_pass = replace(row_pass, unread=("event_id", "event_time", "customer"))
    single = row_pass.single(b'{"event_id":"e","event_time":-20,"customer":7,"carrier":"UA","hour":20,"temp":1.5}')
    assert single is not None
    assert (single.event.get(c.EVENT_ID), single.event.get(c.EVENT_TIME)) == (event_id, moment)


def alone(scorer: CompiledScorer, row: pa.RecordBatch) -> ModelAnswer | None:
    """The answer to a batch of one row, ``None`` where the scorer throws or its answer is not finite."""
    try:
        (answer,) = scorer.score(row).to_pylist()
    except ScoringError:
        return None
    model_answer = ModelAnswer(*(answer[name] for name in (c.PREDICTION, c.LABEL, c.PROBABILITY)))
    numbers = [model_answer.prediction, *(model_answer.probability or [])]
    return model_answer if all(number is not None and math.isfinite(number) for number in numbers) else None


def hold_against_the_batch(model: Path) -> None:
    scorer, batch = load_scorer(model, EVENTS), edge_batch()
    program = row_program(scorer)
    answered = 0
    for position, row in enumerate(batch.to_pylist()):
        expected, answer = alone(scorer, batch.slice(position, 1)), program.answer(row)
        assert (expected is None) == (answer is None), row
        if expected is not None and answer is not None:
            assert exact(answer) == exact(expected), row
            answered += 1
    assert answered > 10


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in STAGES.items()])
def test_a_stage_answers_a_row_as_it_answers_a_batch_of_one(tmp_path: Path, case: Case) -> None:
    hold_against_the_batch(save_pipeline(tmp_path / "model", *with_prediction(case)))


@pytest.mark.parametrize("kind", [kind.removeprefix("org.apache.spark.ml.") for kind in TREES])
def test_a_row_goes_down_a_tree_as_a_batch_does(tmp_path: Path, kind: str) -> None:
    trees = [MANY_LEFT] if "DecisionTree" in kind else [BY_NUMBER, FEW_LEFT, MANY_LEFT, LEAF, BY_NUMBER, FEW_LEFT]
    hold_against_the_batch(save_trees(tmp_path / "model", kind, trees))


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
@examples(30)
def test_a_logistic_models_exponential_is_the_batchs_own(flights: JsonRowPass, numbers: list[float]) -> None:
    head = b'{"event_id":"e","event_time":"2013-01-01T05:15Z","hour":3,"temp":'
    hold(flights, [head + json.dumps(number).encode() + b"}" for number in numbers])


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> JsonRowPass:
    return row_pass_of(loaded(flight_package(tmp_path_factory.mktemp("flights"))))


VALUES = [None, -1.0, -0.0, 0.0, 1.0, 2.0, 2.5, 9.0, math.inf, math.nan, "UA", "ZZ", "1.0", 2, -7, True, False]
GUARDS: list[Guard] = [
    NotNull("x"),
    InVocabulary("x", ("UA", "1.0", "2", "true")),
    InVocabulary("x", ()),
    InRange("x", 0.0, 9.0),
    InRange("x", 0.0, 9.0, open_end=True),
    InRange("x", 0.0, math.inf, zero_below=True),
    InCategories("x", (2.0, math.nan)),
]


@pytest.mark.parametrize("guard", GUARDS, ids=repr)
def test_what_a_test_of_a_single_value_allows_the_guard_allows_in_a_batch(guard: Guard) -> None:
    is_of_numbers = isinstance(guard, InRange | InCategories)
    test, allowed = single_test(guard), 0
    for value in VALUES:
        if isinstance(value, str) and is_of_numbers:
            continue
        kind = pa.scalar(value).type if value is not None else pa.float64() if is_of_numbers else pa.string()
        (fails,) = failing(guard, pa.array([value], kind)).tolist()
        assert not (test(value) and fails), value
        allowed += test(value)
    assert bool(allowed) == (guard != InVocabulary("x", ()))


def test_an_event_with_a_list_is_the_batchs_to_read() -> None:
    decoder = TieredRowDecoder(LISTS, EventSettings(), 1_000_000)
    values = pa.array(list(with_lists().values()), pa.binary())
    assert decoder.read(values).column(c.VERDICT).null_count > 0
    assert {decoder.read_single(value.as_py()) for value in values} == {None}


def test_what_is_no_guard_has_no_test() -> None:
    with pytest.raises(TypeError, match="is no guard"):
        single_test("x")
