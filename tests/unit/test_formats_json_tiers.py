"""Decoders of JSON that are faster than the reference: the same verdicts, values to the bit and first reasons.

Whatever decodes rows may join ``DECODERS``.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from itertools import islice
from random import SystemRandom

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming.formats.json.tiers.decoder import TieredRowDecoder
from streaming.models.seams import RowDecoder
from streaming.models.signature import Column, ColumnType, Signature
from streaming.settings import EventSettings
from tests.support.damage import damaged, events
from tests.support.decoding import Contract, MakeDecoder, binary, differences
from tests.support.laws import examples
from tests.support.malformed import (
    CASES,
    EPOCHS,
    GOOD,
    HEAD,
    LISTS,
    SIGNATURE,
    TIMES,
    TOKENS,
    with_envelope,
    with_fields,
    with_lists,
    with_value,
)
from tests.support.mutants import mutants

DECODERS = [pytest.param(TieredRowDecoder, id="tiers")]
of_each_decoder = pytest.mark.parametrize("make", DECODERS)
DEFAULT = Contract()
SMALL = [value for value in CASES.values() if value is None or len(value) < 10_000]


@of_each_decoder
def test_every_case_is_read_as_the_reference_reads_it(make: MakeDecoder) -> None:
    assert DEFAULT.disagreements(make, list(CASES.values())) == []


@of_each_decoder
def test_no_case_changes_how_the_events_beside_it_are_read(make: MakeDecoder) -> None:
    decoder, good = DEFAULT.decoder(make), DEFAULT.reference.read(binary([GOOD]))
    for name, value in CASES.items():
        batch = decoder.read(binary([GOOD, value, GOOD]))
        assert batch.slice(0, 1).equals(good), name
        assert batch.slice(2, 1).equals(good), name


CONTEXTS = {
    "alone": "{}",
    "in an array alone": "[{}]",
    "in an unread field": f'{{{{{HEAD},"carrier":"UA","distance":1,"a":{{}}}}}}',
    "in an array": f'{{{{{HEAD},"carrier":"UA","a":[1,{{}}],"distance":1}}}}',
    "in an object": f'{{{{{HEAD},"a":{{{{"b":{{}}}}}},"carrier":"UA","distance":1}}}}',
    "as a name": f'{{{{{HEAD},{{}}:1,"carrier":"UA","distance":1}}}}',
    "as two names": f'{{{{{HEAD},{{0}}:1,{{0}}:1,"carrier":"UA","distance":1}}}}',
    "after the event": f'{{{{{HEAD},"carrier":"UA","distance":1}}}}{{}}',
    "before the event": f'{{}}{{{{{HEAD},"carrier":"UA","distance":1}}}}',
}


@of_each_decoder
@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_every_token_is_read_as_the_reference_reads_it(make: MakeDecoder, context: str) -> None:
    assert DEFAULT.disagreements(make, [context.format(token).encode() for token in TOKENS.values()]) == []


@of_each_decoder
@pytest.mark.parametrize(
    "contract",
    [
        pytest.param(Contract(envelope=EventSettings(id=None, time=None)), id="no id and no time"),
        pytest.param(Contract(envelope=EventSettings(key="dest")), id="the key is a column of text"),
        pytest.param(Contract(envelope=EventSettings(key="number")), id="the key is a column of whole numbers"),
        pytest.param(Contract(envelope=EventSettings(key="seats")), id="the key is a column of small whole numbers"),
        pytest.param(Contract(envelope=EventSettings(key="gust")), id="the key is a column of doubles"),
        pytest.param(Contract(envelope=EventSettings(key="event_id")), id="the key is the id"),
        pytest.param(Contract(envelope=EventSettings(id="carrier", time="dest")), id="the time is a column of text"),
        pytest.param(Contract(envelope=EventSettings(id="event_time")), id="the id is the time"),
        pytest.param(
            Contract(envelope=EventSettings(time="number", time_format="epoch_ms")), id="the time is a whole number"
        ),
        pytest.param(Contract(envelope=EventSettings(time_format="epoch_ms")), id="milliseconds"),
        pytest.param(Contract(signature=Signature(())), id="no columns"),
        pytest.param(Contract(Signature(()), EventSettings(id=None, time=None)), id="nothing at all"),
        pytest.param(Contract(max_value_bytes=150), id="values of at most 150 bytes"),
    ],
)
def test_other_envelopes_and_signatures_are_read_alike(make: MakeDecoder, contract: Contract) -> None:
    values = [
        *SMALL,
        *mutants(500, 0),
        *(with_envelope(event_time=token) for token in EPOCHS),
        b"{}",
        b'{"a":1}',
    ]
    assert contract.disagreements(make, values) == []


@of_each_decoder
def test_lists_of_numbers_are_read_alike(make: MakeDecoder) -> None:
    contract = Contract(LISTS)
    values = [*with_lists().values()]
    assert contract.disagreements(make, values) == []
    # Each by itself, as one that is doubtful must not hide another.
    assert [text for value in values[::7] for text in contract.disagreements(make, [value])] == []


_NUMBERS = st.one_of(st.integers(-(2**64), 2**64).map(str), st.floats(width=32).map(json.dumps), st.just("null"))


@of_each_decoder
@given(st.lists(st.one_of(_NUMBERS, st.floats().map(json.dumps), st.sampled_from(["true", '"1"', "[1]"])), max_size=4))
def test_any_list_is_read_alike(make: MakeDecoder, numbers: list[str]) -> None:
    names = ("point", "single", "number", "seats")
    values = [with_envelope()[:-1] + f',"point":[1,2],"{name}":[{",".join(numbers)}]}}'.encode() for name in names[1:]]
    values.append(with_envelope()[:-1] + f',"point":[{",".join(numbers)}]}}'.encode())
    assert Contract(LISTS).disagreements(make, values) == []


NAMES = [
    "a.b",
    "a b",
    "a`b",
    "it's",
    'say "x"',
    "'\"",
    "ключ",
    "A",
    "[0]",
    "$",
    "a\\b",
    "\n",
    "\x7f",
    "",
    "r",
    "f0",
    "n" * 2000,
]


@of_each_decoder
@pytest.mark.parametrize("kind", ["double", "float", "long", "integer", "boolean", "string"])
@pytest.mark.parametrize("name", NAMES, ids=[repr(name)[:20] for name in NAMES])
def test_a_column_with_an_odd_name_is_read_like_others(make: MakeDecoder, name: str, kind: ColumnType) -> None:
    contract = Contract(Signature((Column(name, kind, required=False),)))
    tokens = ["1", "[0]", "null", '"x"', "true", "1.5"]
    values = [with_envelope()[:-1] + f",{json.dumps(name)}:{token}}}".encode() for token in tokens]
    assert contract.disagreements(make, [*values, with_envelope()]) == []


@of_each_decoder
def test_any_column_may_be_required(make: MakeDecoder) -> None:
    signature = Signature(tuple(Column(column.name, column.type) for column in SIGNATURE.columns))
    assert Contract(signature).disagreements(make, [*SMALL, *mutants(500, 1)]) == []


@of_each_decoder
@examples(20)
@given(st.lists(st.one_of(events(), damaged(), st.just(GOOD), st.none()), max_size=8))
def test_batches_by_chance_are_read_alike(make: MakeDecoder, values: list[bytes | None]) -> None:
    assert DEFAULT.disagreements(make, values) == []


MILLION = 1_000_000


@pytest.mark.hypothesis
@of_each_decoder
def test_mutants_of_events_are_read_alike(make: MakeDecoder) -> None:
    """A million of them with ``make fuzz``, from another seed each time."""
    is_fuzz = settings().max_examples > 100
    seed = SystemRandom().randrange(1 << 32) if is_fuzz else 0
    decoder, reference = DEFAULT.decoder(make), DEFAULT.reference
    supply = mutants(MILLION if is_fuzz else 4_000, seed)
    while values := list(islice(supply, 2_000)):
        batch = binary(values)
        assert differences(decoder.read(batch), reference.read(batch), values) == [], f"mutants({MILLION}, {seed})"


_DIGITS = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
_SINGLES = st.floats(width=32, allow_nan=False, allow_infinity=False)


@of_each_decoder
@given(st.one_of(_DIGITS, st.floats(allow_nan=False, allow_infinity=False).map(repr), _SINGLES.map(repr)))
def test_any_number_is_read_to_the_bit(make: MakeDecoder, token: str) -> None:
    names = ("gust", "weight", "seats", "number", "event_id", "carrier", "stranger")
    values = [with_value(name, token) for name in names]
    values += [with_unread_object(value) for value in values]
    assert DEFAULT.disagreements(make, values) == []


def with_unread_object(value: bytes) -> bytes:
    """The same event, which the first tier cannot prove to be valid."""
    return value[:-1] + b',"more":{"a":[1]}}'


@st.composite
def _half_steps(draw: st.DrawFn) -> str:
    """A number half-way between two floats, or a little beside it: rounding twice would show."""
    half = draw(st.integers(1 << 24, (1 << 25) - 1).filter(lambda whole: whole % 2))
    tail = draw(st.sampled_from(["", ".0", ".5", ".0000000000000000000001", f"e{draw(st.integers(-60, 60))}"]))
    return f"{half}{tail}"


@of_each_decoder
@given(_half_steps())
def test_a_float_is_rounded_once(make: MakeDecoder, token: str) -> None:
    below = f"{int(token[:8]) - 1}.99999999999999999999999"
    values = [with_value("weight", text) for text in (token, "-" + token, below)]
    assert DEFAULT.disagreements(make, [*values, *map(with_unread_object, values)]) == []


_TIME = st.from_regex(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,10})?(Z|[+-][01][0-9]:?[0-6][0-9])?",
    fullmatch=True,
)
_DATE_TIMES = st.datetimes().flatmap(
    lambda moment: st.sampled_from(["auto", "milliseconds"]).map(lambda spec: moment.isoformat(timespec=spec) + "Z")
)
_CHANGED = st.tuples(_DATE_TIMES, st.integers(0, 26), st.sampled_from("0123456789:-TZ.+ é٠")).map(
    lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + 1 :]
)


@of_each_decoder
@given(st.lists(st.one_of(_TIME, _DATE_TIMES, _CHANGED, st.sampled_from(TIMES)), max_size=6))
def test_any_time_is_read_alike(make: MakeDecoder, times: list[str]) -> None:
    assert DEFAULT.disagreements(make, [with_envelope(event_time=json.dumps(text)) for text in times]) == []


@of_each_decoder
@pytest.mark.parametrize("year", ["0000", "0001", "0004", "1582", "1900", "1970", "2000", "2013", "9999"])
def test_the_days_of_each_month_are_those_of_the_calendar(make: MakeDecoder, year: str) -> None:
    times = [f'"{year}-{month:02}-{day:02}T23:59:59.999Z"' for month in range(14) for day in (0, 1, 28, 29, 30, 31, 32)]
    assert DEFAULT.disagreements(make, [with_envelope(event_time=token) for token in times]) == []


@of_each_decoder
@pytest.mark.parametrize("digits", [999, 1_000, 1_001, 1_100])
@pytest.mark.parametrize("shape", ["{}", "0.{}", "1.{}", "-1.{}e-5", "1.5,{}"])
def test_the_limit_of_digits_holds_wherever_the_number_stands(make: MakeDecoder, digits: int, shape: str) -> None:
    token = shape.format("7" * digits)
    values = [with_fields(f'"a":"{"x" * gap}","gust":{token if "," not in token else 1}') for gap in range(0, 250, 7)]
    values += [with_fields(f'"a":"{"x" * gap}","b":[{token}]') for gap in range(0, 250, 7)]
    values += [with_fields(f'"dest":"{"x" * gap}{token}"') for gap in range(0, 250, 7)]
    assert DEFAULT.disagreements(make, values) == []


@of_each_decoder
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f'"{"n" * 50_000}":1', id="a long name"),
        pytest.param(f'"{"n" * 50_001}":1', id="a name too long"),
        pytest.param(f'"dest":"{"[" * 300}"', id="brackets in a text"),
        pytest.param(f'"a":[{",".join(["[]"] * 300)}]', id="arrays side by side"),
        pytest.param(f'"a":{"[" * 99}{"]" * 99}', id="100 levels"),
        pytest.param(f'"a":{"[" * 100}{"]" * 100}', id="101 levels"),
        pytest.param(f'"a":[{",".join(["{}"] * 300)},{"[" * 99}{"]" * 99}]', id="101 levels behind others"),
        pytest.param(f'"dest":"{"é" * 30_000}"', id="a long text"),
        pytest.param(f'"gust":{" " * 60_000}1', id="much white space"),
    ],
)
def test_the_other_limits_hold_too(make: MakeDecoder, text: str) -> None:
    assert DEFAULT.disagreements(make, [with_fields(text), GOOD, with_fields(text)]) == []


@of_each_decoder
@pytest.mark.parametrize(
    "values",
    [
        pytest.param(binary([]), id="no rows"),
        pytest.param(binary([None, None]), id="tombstones alone"),
        pytest.param(binary([b"", b""]), id="empty values alone"),
        pytest.param(binary([b"x", None, GOOD, b"", GOOD, b"\xff"]).slice(1, 4), id="a slice"),
        pytest.param(binary([GOOD] * 3).slice(3), id="a slice without rows"),
        pytest.param(pa.array([GOOD, None], pa.large_binary()), id="large binaries"),
        pytest.param(binary([GOOD, None, *list(CASES.values())[:50]] * 40), id="several pieces"),
        pytest.param(binary([with_fields(f'"dest":"{"x" * 40_000}"')] * 30), id="pieces of few events"),
    ],
)
def test_a_batch_of_any_form_keeps_its_rows_in_order(make: MakeDecoder, values: pa.BinaryArray) -> None:
    ours, reference = DEFAULT.decoder(make).read(values), DEFAULT.reference.read(values)
    assert differences(ours, reference, values.to_pylist()) == []
    assert isinstance(ours, pa.RecordBatch)


POISON: dict[str, bytes | None] = {
    "tombstone": None,
    "not UTF-8": GOOD + b"\xff",
    "cut off": GOOD[:-2],
    "not an object": b"[1,2]",
    "a name twice": with_fields('"gust":1,"gust":2'),
    "NaN": with_fields('"gust":NaN'),
    "no carrier": f'{{{HEAD},"distance":1}}'.encode(),
    "a wrong type": with_fields('"seats":1.5,"more":[1]'),
    "infinite": with_fields('"gust":1e400'),
    "a bad time": with_envelope(event_time='"2013-02-30T05:15:00Z"'),
    "1,000 levels": with_fields(f'"a":{"[" * 999}{"]" * 999}'),
    "1,001 digits": with_fields(f'"a":{"1" * 1001}'),
    "an escaped quote": with_fields('"dest":"\\"","seats":"x"'),
}


@of_each_decoder
def test_a_flood_of_poison_takes_hardly_longer_than_the_reference_takes(make: MakeDecoder) -> None:
    """A quarter more is what looking twice at every event costs; most of a flood is not looked at twice."""
    batch, ours, reference = binary([*POISON.values()] * 20), DEFAULT.decoder(make), DEFAULT.reference
    assert ours.read(batch).equals(reference.read(batch))

    def a_flood(decoder: RowDecoder) -> float:
        return cpu_seconds(lambda: [decoder.read(batch) for _ in range(18)])

    a_flood(ours)
    # The least times are those of a quiet moment. Both have one in some tries, or in more on a busy machine.
    least = math.inf, math.inf
    for tries in range(40):
        least = min(least[0], a_flood(ours)), min(least[1], a_flood(reference))
        if tries >= 2 and least[0] <= 1.15 * least[1]:
            break
    assert least[0] <= 1.15 * least[1]


@of_each_decoder
def test_whatever_a_flood_was_the_events_in_it_and_behind_it_are_read_as_the_reference_reads_them(
    make: MakeDecoder,
) -> None:
    ours = DEFAULT.decoder(make)
    poison, sound = binary([*POISON.values()] * 8), binary([GOOD] * 104)
    mixed = binary([GOOD, *POISON.values()] * 8)
    for batch in (poison, poison, sound, poison, mixed, poison, poison, poison, sound, sound, mixed):
        assert ours.read(batch).equals(DEFAULT.reference.read(batch))


def cpu_seconds(work: Callable[[], object]) -> float:
    """This thread's time, so that a busy machine does not count."""
    started = time.thread_time()
    work()
    return time.thread_time() - started
