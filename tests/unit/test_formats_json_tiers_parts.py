"""The tiers one by one: what each proves, and that usual events are proven by the first."""

from __future__ import annotations

import json
import sys
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.formats.json.rows import JsonRowDecoder
from streaming.formats.json.tiers.decoder import SwiftTiers
from streaming.formats.json.tiers.documents import Documents
from streaming.formats.json.tiers.fields import Field, can_be_declared, fields_of
from streaming.formats.json.tiers.flood import Flood
from streaming.formats.json.tiers.general import GeneralReader
from streaming.formats.json.tiers.times import FEW, iso_times
from streaming.formats.json.tiers.typed import TypedReader
from streaming.formats.json.tiers.unread import UnreadFields
from streaming.models.signature import Column, Signature
from streaming.settings import EventSettings
from tests.support.malformed import CASES, HEAD, SIGNATURE, with_fields
from tests.support.malformed import TIMES as MALFORMED_TIMES

FIELDS = fields_of(SIGNATURE, EventSettings()) or ()
SCHEMA = JsonRowDecoder(SIGNATURE, EventSettings(), 1 << 20).schema
EVERY = '"gust":1.5,"dest":"SEA","weight":2.5,"seats":7,"number":12345,"night":true'


def documents(*values: bytes) -> Documents:
    return Documents(pa.array(list(values), pa.binary()), np.arange(len(values)))


@pytest.mark.parametrize(
    ("text", "is_proven"),
    [
        pytest.param(EVERY, True, id="every column"),
        pytest.param('"gust":null,"dest":null', True, id="nulls"),
        pytest.param('"dest":"\\u00e3\\n"', True, id="escapes"),
        pytest.param('"more":1', True, id="a declared field that nobody reads"),
        pytest.param('"more":"text"', True, id="text in it"),
        pytest.param('"more":null', True, id="null in it"),
        pytest.param('"more":1e99', True, id="a number in it"),
        pytest.param('"more":"1","more":1', False, id="it comes twice"),
        pytest.param('"more":1,"more":"1"', False, id="it comes twice the other way round"),
        pytest.param('"dest":null,"dest":null', False, id="a null twice"),
        pytest.param('"gust":1,"\\u0067ust":1', False, id="a name twice by an escape"),
        pytest.param('"more":[1]', False, id="an array"),
        pytest.param('"other":1', False, id="a field that is not declared"),
        pytest.param('"dest":"\\""', False, id="an escaped quote"),
        pytest.param('"weight":16777217', False, id="a float that would be rounded twice"),
        pytest.param(f'"dest":"{"1" * 1200}"', False, id="a text that looks like a long number"),
    ],
)
def test_the_first_tier_proves_what_the_number_of_quotes_can_prove(text: str, is_proven: bool) -> None:
    look = TypedReader((*FIELDS, Field("more")), SCHEMA).read(documents(with_fields(text), with_fields(EVERY)))
    assert look.valid.rows.tolist() == ([0, 1] if is_proven else [1])
    assert look.unproven.rows.tolist() == ([] if is_proven else [0])


_DAY = r"[0-9]{4}-[01][0-9]-[0-3][0-9]"
_TIME = r"[0-2][0-9]:[0-5][0-9](:[0-6][0-9](\.[0-9]{1,9})?(Z|\+0[0-9]:30)?)?"
TIMES = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | st.from_regex(
    f"{_DAY}[T ]{_TIME}", fullmatch=True
)


@given(TIMES | st.sampled_from(MALFORMED_TIMES))
def test_a_time_is_the_same_among_few_and_among_many(text: str) -> None:
    """Few are read one by one, as the reference reads them, and many by arithmetic."""
    alone, many = iso_times([text]), iso_times([text] * (FEW + 1))
    doubtful = alone.doubtful is not None
    assert (many.doubtful is not None) is doubtful
    assert doubtful or set(many.array.to_pylist()) == {*alone.array.to_pylist()}


def test_what_msgspec_calls_malformed_is_not_looked_at_again() -> None:
    look = TypedReader(FIELDS, SCHEMA).read(documents(with_fields(EVERY)[:-1], b"{", with_fields(EVERY), b"[]"))
    assert look.valid.rows.tolist() == [2]
    assert look.unproven.rows.tolist() == [3]


def test_both_tiers_together_leave_few_valid_cases_to_the_reference() -> None:
    """The rest are long, or floats whose rounding must be looked at."""
    reference = JsonRowDecoder(SIGNATURE, EventSettings(), 1 << 20)
    valid = {name: value for name, value in CASES.items() if value and not reference.judge(value).problems}
    look = TypedReader(FIELDS, SCHEMA).read(documents(*valid.values()))
    second = GeneralReader(FIELDS, SCHEMA, lambda event: None).read(look.unproven)
    undecided = {*valid} - {[*valid][row] for row in (*look.valid.rows, *second.rows)}
    assert len(look.valid.rows) > 0.8 * len(valid)
    assert len(undecided) < 0.08 * len(valid)


@pytest.mark.parametrize("value", [b'{"a":' * 1_000_000, b"[" * 1_000_000, with_fields('"a":' + "[" * 1_000_000)])
def test_depth_overflows_no_stack_even_where_python_allows_it_to(value: bytes) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000_000)
    try:
        look = TypedReader(FIELDS, SCHEMA).read(documents(value))
        second = GeneralReader(FIELDS, SCHEMA, lambda event: None).read(documents(value))
    finally:
        sys.setrecursionlimit(limit)
    assert (len(look.valid.rows), len(second.rows)) == (0, 0)


def learnt(*observed: dict[str, object], times: int = 64) -> list[str]:
    unread = UnreadFields(["distance"])
    for number in range(times):
        unread.observe(dict(observed[number % len(observed)]))
    return [field.name for field in unread.learnt]


@pytest.mark.parametrize(
    ("observed", "names"),
    [
        pytest.param([{"distance": 1, "tail": "N1", "b": None}], ["b", "tail"], id="in each event"),
        pytest.param([{"a": 1}, {"b": 1}], ["a", "b"], id="in half of them"),
        pytest.param([{"a": 1}, {"b": 1}, {"c": 1}], [], id="in a third of them"),
        pytest.param([{"a": [1], "b": {}, "c": 1}], ["c"], id="nesting"),
        pytest.param([{"distance": 1}], [], id="nothing unknown"),
        pytest.param([{'a"b': 1, "a\\b": 1, "\n": 1, "c": 1}], ["c"], id="names that cannot be declared"),
    ],
)
def test_fields_that_half_of_the_events_have_are_learnt(observed: list[dict[str, object]], names: list[str]) -> None:
    assert learnt(*observed) == names


def test_names_that_never_come_again_are_not_learnt_and_learning_ends() -> None:
    unread = UnreadFields([])
    for number in range(1_000):
        unread.observe({str(number): 1})
    assert [field.name for field in unread.learnt] == []
    for batch, count in enumerate((101, 60, 60, 40, 1)):
        for _ in range(64):
            unread.observe({f"{batch}-{number}": 1 for number in range(count)})
    assert {field.name.split("-")[0] for field in unread.learnt} == {"1", "3"}


def test_events_with_unread_fields_are_proven_by_the_first_tier_once_they_are_learnt() -> None:
    tiers = SwiftTiers(FIELDS, SCHEMA, 50_000)
    batch = documents(*[with_fields(f'{EVERY},"tail":"N1","wind":null,"rain":0.5')] * 64)
    by_tier = [[len(portion.rows) for portion in tiers.read(batch)] for _ in range(2)]
    assert by_tier == [[0, 64], [64]]


@pytest.mark.parametrize(
    ("pieces", "read"),
    [
        pytest.param([(0, 100)] * 8, "r-r--r--", id="a flood, with longer and longer pauses"),
        pytest.param([(0, 100)] * 34, "r-r--r----r--------r--------r-----", id="a pause of eight pieces at most"),
        pytest.param([(0, 100), (0, 100), (100, 100), (0, 100), (0, 100)], "r-rr-", id="a sound piece between"),
        pytest.param([(0, 100), (100, 100), (100, 100), (100, 100)], "r-rr", id="it is over"),
        pytest.param([(6, 100)] * 3, "r-r", id="hardly any valid"),
        pytest.param([(7, 100)] * 3, "rrr", id="a few valid"),
        pytest.param([(0, 63)] * 3, "rrr", id="small pieces say nothing"),
    ],
)
def test_most_pieces_of_a_flood_are_left_to_the_reference(pieces: list[tuple[int, int]], read: str) -> None:
    flood, seen = Flood(), ""
    for valid, events in pieces:
        seen += "-" if (passed := flood.passes_over()) else "r"
        if not passed:
            flood.note(valid, events)
    assert seen == read


@pytest.mark.parametrize(
    ("columns", "envelope"),
    [
        pytest.param([Column('say "x"', "double")], EventSettings(), id="a name with quotes"),
        pytest.param([Column("event_id", "double")], EventSettings(), id="an id that is a double"),
        pytest.param([Column("event_id", "long")], EventSettings(time="event_id"), id="a time that is a number"),
    ],
)
def test_what_cannot_be_declared_is_left_to_the_reference(columns: list[Column], envelope: EventSettings) -> None:
    assert fields_of(Signature(tuple(columns)), envelope) is None


@pytest.mark.parametrize("name", ["a", "", "ключ", "a'b", "\x7f", "\u2028"])
def test_a_name_that_json_may_write_as_it_is_can_be_declared(name: str) -> None:
    assert can_be_declared(name)
    assert json.dumps(name, ensure_ascii=False) == f'"{name}"'


def test_wide_events_of_numbers_are_not_taken_for_long_numbers() -> None:
    random = Random(0)
    texts = [",".join(f'"p{column:03}":{random.random():.4f}' for column in range(800)) for _ in range(50)]
    wide = documents(*[f"{{{text}}}".encode() for text in texts], b" " * 50, b"9" * 1_001)
    assert wide.may_have_long_numbers().tolist() == [False] * 51 + [True]


def test_lists_of_numbers_are_proven_by_the_first_tier() -> None:
    random = Random(0)
    signature = Signature((Column(name="x", type="double", length=200), Column(name="y", type="long", length=3)))
    fields = fields_of(signature, EventSettings()) or ()
    schema = JsonRowDecoder(signature, EventSettings(), 1 << 20).schema
    texts = [json.dumps([random.random() for _ in range(200)]) for _ in range(50)]
    values = [f'{{{HEAD},"x":{text},"y":[1,2,3]}}'.encode() for text in texts]
    look = TypedReader(fields, schema).read(documents(*values))
    assert look.valid.rows.tolist() == list(range(50))


def test_positions_in_a_slice_are_those_of_its_own_values() -> None:
    values = pa.array([b'{"":""}', b'"\\"', b"xx", b'""""'], pa.binary()).slice(1)
    sliced = Documents(values, np.arange(3))
    assert sliced.quotes().tolist() == [2, 0, 4]
    assert sliced.may_escape_quotes().tolist() == [True, False, False]
    assert [piece.texts for piece in sliced.pieces(6)] == [[b'"\\"', b"xx"], [b'""""']]
