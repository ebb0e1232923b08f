"""Where rows of CSV end, and what is no row: RFC 4180, against Python's own reader."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.batch.quotes import MOST_BYTES, joined

FIELDS = st.text(st.sampled_from('ab",\n\r é'), max_size=6)
TABLES = st.lists(st.lists(FIELDS, min_size=2, max_size=4), max_size=6)


def records(text: bytes) -> list[bytes]:
    return list(joined(text.splitlines(keepends=True)))


@given(TABLES, st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_a_writer_of_csv_writes_is_cut_where_its_rows_end(table: list[list[str]], end: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(table)
    result = records(file.getvalue().encode())
    assert [next(csv.reader(io.StringIO(record.decode(), newline=""), strict=True)) for record in result] == table


@given(st.lists(st.text(st.sampled_from('a",\r\n '), max_size=12)).map("\n".join))
def test_no_line_is_lost_or_comes_twice_whatever_the_quotes_are(text: str) -> None:
    data = text.encode()
    blank_free = b"".join(line.strip() for line in data.splitlines())
    assert b"".join(part.strip() for record in records(data) for part in record.splitlines()) == blank_free


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b'1,"a\nb"\n2,c\n', [b'1,"a\nb"', b"2,c"], id="a line break in the last field"),
        pytest.param(b'"a\r\n\r\nb",1\r\n2,c', [b'"a\r\n\r\nb",1', b"2,c"], id="a blank line in the first field"),
        pytest.param(b'1,"a\n","b\n",2\n3', [b'1,"a\n","b\n",2', b"3"], id="two fields with line breaks"),
        pytest.param(b'1,"a ""\n"" b"\n2,c', [b'1,"a ""\n"" b"', b"2,c"], id="doubled quotes at the break"),
        pytest.param(b'1,"a\n2,b\n3,c\n', [b'1,"a', b"2,b", b"3,c"], id="never closed"),
        pytest.param(b'1,"a\n2,"b"\n3,c\n', [b'1,"a\n2,"b"', b"3,c"], id="closed by the quotes of another row"),
        pytest.param(b'1,7",a\n2,b\n3,"c"\n', [b'1,7",a', b"2,b", b'3,"c"'], id="a quote within a field"),
        pytest.param(b'1,"a"b",\n2,b\n', [b'1,"a"b",', b"2,b"], id="text behind a closing quote"),
    ],
)
def test_a_fault_spoils_the_rows_in_which_it_can_be_seen_and_no_others(text: bytes, expected: list[bytes]) -> None:
    assert records(text) == expected


def test_a_quote_that_is_not_closed_for_long_is_taken_for_one_that_never_is() -> None:
    filler = b"x" * 1000 + b"\n"
    lines = [b'1,"a\n', *[filler] * (MOST_BYTES // len(filler) + 1), b'"\n']
    assert next(joined(lines)) == b'1,"a'
    assert len(list(joined(lines))) == len(lines)
