"""What an event gets for each outcome of its lookup, by the settings; nothing is ever null without saying so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streaming.errors import CandidateRefusedError, LookupUnavailableError
from streaming.events import columns as c
from streaming.events.arrow_verdicts import VERDICT_STRUCT
from streaming.lookup.join import TableLookup
from streaming.lookup_state import LookupState
from streaming.models.signature import Column, ColumnType, Signature
from streaming.outputs.arrow_rows import enveloped_rows
from streaming.outputs.envelope import Stamp
from streaming.refusal_codes import RefusalCode
from streaming.scoring.in_process import InProcessLoader
from streaming.scoring.looked_up import LookupLoader
from streaming.settings import EventSettings, LookupSettings, Settings
from tests.support.laws import examples
from tests.support.lookups import COLUMNS, MemorySource, bonus_model, bonus_package, lookup_event, scored_keys
from tests.support.many import RECORDS

NOW = 100_000


@pytest.fixture
def source() -> MemorySource:
    source = MemorySource()
    source.put("fresh", {"bonus": 5}, timestamp=NOW - 1_000)
    source.put("old", {"bonus": 6.0}, timestamp=NOW - 60_000)
    source.put("broken", b"{", timestamp=NOW)
    source.put("mistyped", {"bonus": "7"}, timestamp=NOW)
    source.put("empty", {}, timestamp=NOW)
    source.put("ahead", {"bonus": 8.0}, timestamp=NOW + 5_000)
    source.put("gone", {"bonus": 9.0})
    source.put("gone", None)
    return source


def lookup_in(folder: Path, source: MemorySource, **changes: Any) -> TableLookup:
    fields = {"topic": "t", "columns": COLUMNS, "folder": folder / "tables", "time_to_live_seconds": 30, **changes}
    return TableLookup(LookupSettings.model_validate(fields), EventSettings(), source)


def state_of(source: MemorySource) -> LookupState:
    return LookupState("id", source.ends(), NOW)


OUTCOMES = [
    pytest.param("fresh", 1_005.0, "fresh", 1_000, id="a value"),
    pytest.param("old", 1_006.0, "stale", 60_000, id="a stale value"),
    pytest.param("ahead", 1_008.0, "fresh", 0, id="a record from the future"),
    pytest.param("empty", 999.0, "fresh", 0, id="a record without the column"),
    pytest.param("nobody", 999.0, "missing", None, id="no record"),
    pytest.param("gone", 999.0, "missing", None, id="a deleted key"),
    pytest.param(None, 999.0, "missing", None, id="no key"),
    pytest.param("broken", 999.0, "invalid", 0, id="no JSON"),
    pytest.param("mistyped", 999.0, "invalid", 0, id="another type"),
]


@pytest.mark.parametrize(("key", "prediction", "standing", "age"), OUTCOMES)
@pytest.mark.parametrize("by", [None, "who"], ids=["the record's key", "a field"])
def test_an_event_gets_the_value_or_the_default_and_says_which(
    tmp_path: Path, source: MemorySource, key: str | None, prediction: float, standing: str, age: int | None, by: str
) -> None:
    (row,) = scored_keys(tmp_path, lookup_in(tmp_path, source, key=by), state_of(source), key)
    assert row == {"verdict": None, "prediction": prediction, "lookup": standing, "lookup_age": age}


REJECTED = [
    pytest.param({"stale": "dead_letter"}, "old", "STALE_LOOKUP", id="stale"),
    pytest.param({"missing": "dead_letter"}, "nobody", "MISSING_LOOKUP", id="missing"),
    pytest.param({"missing": "dead_letter"}, "broken", "MISSING_LOOKUP", id="invalid"),
    pytest.param({"columns": {"bonus": {"type": "double"}}}, "empty", "MISSING_LOOKUP", id="a required null"),
]


@pytest.mark.parametrize(("changes", "key", "reason"), REJECTED)
def test_the_settings_make_such_events_dead_letters_and_leave_the_others_alone(
    tmp_path: Path, source: MemorySource, changes: dict[str, Any], key: str, reason: str
) -> None:
    rows = scored_keys(tmp_path, lookup_in(tmp_path, source, **changes), state_of(source), key, "fresh")
    assert rows[0]["verdict"]["reason"] == reason
    assert (rows[1]["verdict"], rows[1]["prediction"]) == (None, 1_005.0)


def test_a_stale_value_may_give_way_to_the_default(tmp_path: Path, source: MemorySource) -> None:
    (row,) = scored_keys(tmp_path, lookup_in(tmp_path, source, stale="default"), state_of(source), "old")
    assert (row["prediction"], row["lookup"]) == (999.0, "stale")


@pytest.mark.parametrize(("choice", "reason"), [("default", None), ("dead_letter", "LOOKUP_UNAVAILABLE")])
def test_without_a_table_every_event_gets_what_the_settings_say(
    tmp_path: Path, source: MemorySource, choice: str, reason: str | None
) -> None:
    source.problem = "asked in an outage"
    outage = LookupState.unavailable("the topic is gone", NOW)
    (row,) = scored_keys(tmp_path, lookup_in(tmp_path, source, unavailable=choice), outage, "fresh")
    assert row["lookup"] == "unavailable"
    assert (row["verdict"] and row["verdict"]["reason"]) == reason
    assert reason or row["prediction"] == 999.0


def test_a_topic_that_cannot_be_read_fails_the_batch_and_no_event(tmp_path: Path, source: MemorySource) -> None:
    source.problem = "the topic cannot be read"
    with pytest.raises(LookupUnavailableError, match="cannot be read"):
        scored_keys(tmp_path, lookup_in(tmp_path, source), replace(state_of(source), topic_id="other"), "fresh")


def test_a_prediction_says_in_its_row_what_became_of_the_lookup(tmp_path: Path, source: MemorySource) -> None:
    lookup = lookup_in(tmp_path, source)
    model = bonus_model(tmp_path, lookup)
    records = [{"key": b"fresh", "value": lookup_event(0), "partition": 0, "offset": 0, "timestamp": 0, "headers": []}]
    assert model.row_pass is not None
    rows = model.row_pass.score(pa.RecordBatch.from_pylist(records, RECORDS), state_of(source))
    (row,) = enveloped_rows(rows, [Stamp("features", model.version, "champion", "2013-01-01T00:00:00Z")]).to_pylist()
    assert (row["lookup"], row["lookup_age"]) == ("fresh", 1_000)


def test_a_version_with_another_type_is_refused_and_says_both(tmp_path: Path, source: MemorySource) -> None:
    lookup = lookup_in(tmp_path, source, columns={"bonus": {"type": "long"}})
    with pytest.raises(CandidateRefusedError, match="bonus is double in the signature and long") as refusal:
        bonus_model(tmp_path, lookup)
    assert refusal.value.reason is RefusalCode.SIGNATURE_MISMATCH


def test_a_version_that_only_spark_scores_is_refused(tmp_path: Path, source: MemorySource) -> None:
    class ByFrames(InProcessLoader):
        def load(self, package: Any, uri: str) -> Any:
            return replace(super().load(package, uri), row_pass=None)

    loader = LookupLoader(ByFrames(EventSettings(), 1 << 20), lookup_in(tmp_path, source), {"bonus": "double"})
    with pytest.raises(CandidateRefusedError, match=r"lookup\.columns.*scored by Spark") as refusal:
        loader.load(bonus_package(tmp_path), "")
    assert refusal.value.reason is RefusalCode.NOT_COMPILED


TYPES: tuple[ColumnType, ...] = ("double", "float", "long", "integer", "boolean", "string")
cells = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
"""Values of a table's record: of the column's type, of another one, or none."""
tables = st.fixed_dictionaries({}, optional={f"of_{kind}": cells for kind in TYPES})


@given(st.lists(tables, min_size=1, max_size=3), st.booleans(), st.sampled_from(["mark", "default", "dead_letter"]))
@examples(60)
def test_an_event_alone_is_given_what_it_is_given_in_a_batch(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]], required: bool, choice: str
) -> None:
    source = MemorySource()
    for at, record in enumerate(records):
        source.put(f"k{at}", record, timestamp=NOW - 60_000 * (at % 2))
    columns = {f"of_{kind}": {"type": kind, "default": 0 if kind == "double" else None} for kind in TYPES}
    folder, missing = tmp_path_factory.mktemp("law"), "dead_letter" if choice == "dead_letter" else "default"
    lookup = lookup_in(folder, source, columns=columns, key="who", stale=choice, missing=missing)
    signature = Signature((Column("x", "double"), *(Column(f"of_{kind}", kind, required) for kind in TYPES)))
    keys = [None, "nobody", *(f"k{at}" for at in range(len(records)))]
    fields = {c.VERDICT: pa.nulls(len(keys), VERDICT_STRUCT), "who": pa.array(keys), "x": pa.array([1.5] * len(keys))}
    joined = lookup.joined(pa.record_batch(fields), pa.nulls(len(keys), pa.binary()), signature, state_of(source))
    for row in joined.to_pylist():
        single = lookup.single({"who": row["who"], "x": 1.5}, signature, state_of(source))
        verdict = row.pop(c.VERDICT)
        assert (single is None) == (verdict is not None)
        assert single is None or {name: repr(value) for name, value in single.items()} == {
            name: repr(value) for name, value in row.items()
        }


TABLE = {"topic": "table", "columns": COLUMNS}
WRONG = [
    pytest.param({"lookup": {"topic": "t"}}, "go together", id="no columns"),
    pytest.param({"lookup": {"columns": COLUMNS}}, "go together", id="no topic"),
    pytest.param({"lookup": {"topic": "t", "columns": {"a": {"type": "long", "default": 1.5}}}}, "no long", id="half"),
    pytest.param({"lookup": {"topic": "t", "columns": {"a": {"type": "double", "default": True}}}}, "no dou", id="yes"),
    pytest.param({"lookup": {**TABLE, "topic": "features"}}, "lookup.topic and input.topic|are both", id="the input"),
    pytest.param({"lookup": TABLE, "engine": {"kind": "live"}}, "engine.kind does not go", id="live"),
    pytest.param({"lookup": TABLE, "model": {"scorer": "spark"}}, "model.scorer does not go", id="Spark"),
    pytest.param({"lookup": TABLE, "model": {"recheck_one_in": 5}}, "recheck_one_in does not go", id="recheck"),
    pytest.param({"lookup": TABLE, "fallback": {"enabled": True}}, "fallback.enabled does not go", id="chain"),
    pytest.param(
        {"lookup": TABLE, "models": {"route": {"field": "a", "model": "m-{a}"}}}, "models.route does not go", id="many"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_what_lookups_cannot_do_is_refused_before_anything_starts(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate(fields)
