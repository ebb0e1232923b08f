"""The contracts for subscribers in any language say what the code says."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pyspark.sql.types import ArrayType, DataType, DoubleType, LongType, StringType

from schemas import dead_letter, drift, prediction
from schemas.dead_letter import Reason, Rejection
from schemas.drift import State
from schemas.movement import Movement, Shares
from streaming.drift.decision import DetectionRules, WindowJudge
from streaming.drift.measures import statistic_records, summary_record
from streaming.drift.states import Severity
from streaming.lookup.entries import Entry, EntryReader
from streaming.models.profile import ReferenceProfile
from streaming.models.ref import ModelVersion
from streaming.outputs import headers
from streaming.outputs.envelope import Stamp
from streaming.outputs.weights import WeightEpoch
from streaming.settings import LookupSettings
from tests.support.drifts import categorical, numeric, window

FOLDER = Path(__file__).resolve().parents[1] / "schemas" / "contracts"
CONTRACTS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
VERSION = ModelVersion("flights", 3, "run3")
STAMP = Stamp("features", VERSION, "champion", "2013-01-01T05:15:00.000Z")
TIMES = ("EVENT_TIME", "STREAM_TIME")
POSITION = ("features", 0, 7)


def names(module: Any, *prefixes: str) -> set[str]:
    """The header names that a module has constants for."""
    return {value for name, value in vars(module).items() if name.startswith(prefixes) and isinstance(value, str)}


def as_text(made: headers.Headers) -> dict[str, str]:
    return {name: value.decode() if isinstance(value, bytes) else value or "" for name, value in made}


def json_type(kind: DataType) -> str:
    known: dict[DataType, str] = {StringType(): "string", DoubleType(): "number", LongType(): "integer"}
    return known.get(kind, "array")


@pytest.mark.parametrize("name", sorted(CONTRACTS))
def test_a_contract_is_a_json_schema_named_after_its_file(name: str) -> None:
    Draft202012Validator.check_schema(CONTRACTS[name])
    assert CONTRACTS[name]["$id"] == f"penstock:schemas/contracts/{name}.json"


def test_a_predictions_fields_and_types_are_those_of_the_frame() -> None:
    contract = CONTRACTS["prediction"]
    assert contract["required"] == prediction.VALUE.fieldNames()
    assert list(contract["properties"]) == [*contract["required"], prediction.FIELD_OF_DEGRADED]
    assert contract["additionalProperties"] is False
    for field in prediction.VALUE:
        described = contract["properties"][field.name]
        if "type" in described:
            result = described["type"] if isinstance(described["type"], list) else [described["type"]]
            assert result == [json_type(field.dataType)] + ["null"] * field.nullable, field.name
    assert isinstance(prediction.VALUE["probability"].dataType, ArrayType)


@pytest.mark.parametrize("name", ["prediction", "prediction_headers", "dead_letter_headers"])
def test_the_reasons_of_degraded_answers_are_the_enumeration(name: str) -> None:
    field = prediction.FIELD_OF_DEGRADED if name == "prediction" else prediction.DEGRADED
    assert CONTRACTS[name]["properties"][field]["enum"] == [reason.value for reason in prediction.DegradedReason]


def test_a_prediction_names_its_contract() -> None:
    assert CONTRACTS["prediction"]["$id"] == prediction.DATASCHEMA


def test_the_prediction_headers_are_those_that_have_a_constant() -> None:
    described = set(CONTRACTS["prediction_headers"]["properties"])
    kinds = (
        "CE_",
        "MODEL_",
        "RUN_",
        "ROLE",
        "ROLLOUT",
        "WEIGHT_",
        "CORRECTS",
        "DEGRADED",
        "LOOKUP",
        "SOURCE_",
        "BINS",
        "TRACE",
        "CONTENT_TYPE_HEADER",
        "ORIGINAL_",
    )
    assert described == names(prediction, *kinds)
    assert set(CONTRACTS["prediction_headers"]["required"]) == set(prediction.HEADER_ORDER)


def test_the_dead_letter_headers_are_those_that_have_a_constant() -> None:
    described = set(CONTRACTS["dead_letter_headers"]["properties"])
    kinds = (
        "ERROR_",
        "REASON",
        "FIELD",
        "MODEL_",
        "REJECTED_AT",
        "VALUE_OMITTED",
        "CORRECTS",
        "DEGRADED",
        "ROLE",
        "ROLLOUT",
        "WEIGHT_",
        "ORIGINAL_TIMESTAMP",
        *TIMES,
    )
    assert described == names(dead_letter, *kinds)


def test_the_dead_letter_reasons_and_stages_are_the_enumerations() -> None:
    properties = CONTRACTS["dead_letter_headers"]["properties"]
    assert properties["penstock-reason"]["enum"] == [reason.value for reason in Reason]
    assert set(properties["__connect.errors.stage"]["enum"]) == set(dead_letter.STAGE.values())
    assert set(dead_letter.STAGE) == set(Reason)


@pytest.mark.parametrize("subject", ["N123AA", None], ids=["with a key", "without a key"])
def test_the_headers_of_a_prediction_keep_their_contract(subject: str | None) -> None:
    made = headers.constant(STAMP, 0, "penstock") + headers.varying("id", 7, STAMP.scored_at, subject)
    Draft202012Validator(CONTRACTS["prediction_headers"]).validate(as_text(made))
    assert (prediction.CE_SUBJECT in as_text(made)) is (subject is not None)


@pytest.mark.parametrize("field", [None, "carrier"], ids=["whole record", "one field"])
@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.value)
def test_the_headers_of_every_dead_letter_keep_their_contract(reason: Reason, field: str | None) -> None:
    made = headers.rejected([("mine", b"1")], Rejection(reason.value, field), POSITION, "penstock", STAMP)
    made += headers.times(STAMP.scored_at, STAMP.scored_at)
    made += headers.rejected_of_rollout(replace(STAMP, weights=WeightEpoch("flights-8", 2)))
    Draft202012Validator(CONTRACTS["dead_letter_headers"]).validate(as_text(made))
    assert as_text(made)["mine"] == "1"


def test_the_drift_states_statistics_and_severities_are_the_enumerations() -> None:
    statistic, summary = (CONTRACTS[name]["properties"] for name in ("drift_statistic", "drift_summary"))
    columns = summary["columns"]["items"]["properties"]
    assert statistic["statistic"]["enum"] == [one.value for one in drift.Statistic]
    for states in (statistic["state"], summary["state"], columns["state"]):
        assert states["enum"] == [state.value for state in State]
    assert columns["severity"]["enum"] == [severity.value for severity in Severity]


@pytest.mark.parametrize(
    ("name", "record_type"), [("drift_statistic", drift.STATISTIC_TYPE), ("drift_summary", drift.SUMMARY_TYPE)]
)
def test_a_drift_record_has_every_field_and_no_other(name: str, record_type: str) -> None:
    contract = CONTRACTS[name]
    assert contract["additionalProperties"] is False
    assert set(contract["required"]) == set(contract["properties"])
    assert contract["properties"]["type"]["const"] == record_type


def test_a_movement_has_every_field_and_no_other() -> None:
    column = CONTRACTS["drift_summary"]["properties"]["columns"]["items"]
    described = column["properties"]["movement"]
    shares = described["properties"]["shares"]
    for kind, contract in ((drift.ColumnSummary, column), (Movement, described), (Shares, shares)):
        assert contract["required"] == list(contract["properties"]) == [field.name for field in fields(kind)]
        assert contract["additionalProperties"] is False


HOUR = drift.Window("features", "flights", 3, "2013-01-01T05:00:00.000Z", "2013-01-01T06:00:00.000Z")
ROWS = {
    "as the reference": ([100] * 5 + [20, 0, 0], [300, 200, 0, 0, 20]),
    "moved": ([10, 10, 10, 10, 400, 90, 30, 0], [30, 200, 200, 30, 100]),
    "too few": ([1] * 8, [5, 3, 0, 0, 0]),
    "nothing": ([0] * 8, [0] * 5),
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=list(ROWS))
def test_every_drift_record_keeps_its_contract(rows: tuple[list[int], list[int]]) -> None:
    profile = ReferenceProfile((numeric([900] * 5 + [180, 0, 0]), categorical([3_000, 2_000, 0, 0, 200], "c")), 5_200)
    judge, counts = WindowJudge(profile, DetectionRules()), window(*rows, invalid=9)
    for _ in range(2):
        verdicts = judge.judge(counts)
    summary = Draft202012Validator(CONTRACTS["drift_summary"])
    summary.validate(json.loads(summary_record(HOUR, counts, verdicts, 4, "watermark").to_json()))
    for record in statistic_records(HOUR, verdicts, 0.01):
        Draft202012Validator(CONTRACTS["drift_statistic"]).validate(json.loads(record.to_json()))


def test_a_lookup_record_by_its_contract_is_read_and_gives_its_columns() -> None:
    settings = LookupSettings.model_validate(
        {"topic": "t", "columns": {"balance": {"type": "double", "default": 0.0}, "segment": {"type": "string"}}}
    )
    entries = [
        EntryReader(settings).read(7, json.dumps(one).encode()) for one in CONTRACTS["lookup_record"]["examples"]
    ]
    assert entries == [Entry(7, (1250.5, "gold")), Entry(7, (0.0, None))]
