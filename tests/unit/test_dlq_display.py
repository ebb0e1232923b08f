"""Dead letters on a terminal: whatever a record holds, it is shown and cannot act."""

from __future__ import annotations

import json
from base64 import b64decode
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from jobs.terminal.text import text_of
from jobs.verbs.dlq.display import counts_table, details, letter_page, letters_table, value_text
from schemas import dead_letter as contract
from streaming.outputs.dead_letters import DeadLetter, Headers, Place

anything = st.none() | st.binary(max_size=60) | st.text(max_size=30).map(str.encode)
names = st.text(max_size=10) | st.sampled_from([contract.ERROR_TOPIC, contract.REASON, contract.ERROR_MESSAGE])
letters = st.builds(
    DeadLetter,
    st.builds(Place, st.integers(0, 9), st.integers(0, 99)),
    st.integers(-1, 2_000_000_000_000),
    anything,
    anything,
    st.lists(st.tuples(names, anything), max_size=5).map(tuple),
)


def printed(shown: RenderableType) -> str:
    out = StringIO()
    Console(file=out, width=160).print(shown)
    return out.getvalue()


def a_letter(value: bytes | None, headers: Headers = ()) -> DeadLetter:
    return DeadLetter(Place(0, 1), 0, None, value, headers)


@given(letters)
def test_nothing_in_a_record_can_act_on_the_terminal(letter: DeadLetter) -> None:
    for shown in (letter_page(letter, "dlq"), letters_table([letter]), counts_table({letter.reason: 1})):
        assert all(char.isprintable() or char in "\n\t" for char in printed(shown))


@given(letters)
def test_json_has_every_byte(letter: DeadLetter) -> None:
    result = json.loads(json.dumps(details(letter)))

    def data(word: str | None) -> bytes | None:
        return None if word is None else b64decode(word)

    assert (data(result["key"]), data(result["value"])) == (letter.key, letter.value)
    assert tuple((name, data(word)) for name, word in result["headers"]) == letter.headers
    assert letter.headers[: result["own_headers"]] == letter.own


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b'{"a": [1]}', '{"a": [1]}', id="text, and no markup of ours"),
        pytest.param(b"[bold]x[/bold]", "[bold]x[/bold]", id="what looks like markup"),
        pytest.param('{\n\t"a": "ä"}'.encode(), '{\n\t"a": "ä"}', id="several lines"),
        pytest.param(b"\xff{a", "00000000  ff 7b 61" + " " * 41 + ".{a", id="not UTF-8"),
        pytest.param(b"", "", id="empty"),
        pytest.param(None, "null", id="null"),
    ],
)
def test_a_value_is_shown_as_text_or_as_a_hex_dump(value: bytes | None, expected: str) -> None:
    assert value_text(a_letter(value)).plain == expected


@pytest.mark.parametrize("byte", [b"x", b"\xff"], ids=["text", "bytes"])
def test_a_long_value_is_cut_and_says_so(byte: bytes) -> None:
    shown = value_text(a_letter(byte * 5_000)).plain
    assert len(shown) < 5 * 5_000
    assert shown.endswith("... of 5,000 bytes; --raw writes all")


def test_a_value_that_was_left_out_is_not_taken_for_a_tombstone() -> None:
    omitted = ((contract.ERROR_TOPIC, b"features"), (contract.VALUE_OMITTED, b"true"))
    assert "left out" in value_text(a_letter(None, omitted)).plain


def test_control_characters_are_shown_as_bytes() -> None:
    assert text_of(b"\x1b[2J") == "0x1b5b324a"
