"""Text files in pieces: every record once, wherever a file is cut and however it is read."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.batch import pieces
from streaming.batch.pieces import first_record, pieces_of
from streaming.batch.quotes import joined

PARTS = st.lists(st.sampled_from([b"a", b",", b'"', b"\n", b"\r", b"\r\n", b" ", b"\xe9"]), max_size=40)


def read(data: bytes, kind: Any, block: int, size: int) -> list[bytes]:
    with TemporaryDirectory() as folder, mock.patch.object(pieces, "_BLOCK", block):
        path = Path(folder) / "a"
        path.write_bytes(data)
        return [record for piece in pieces_of(path, kind, size) for some in piece.records() for record in some]


@given(PARTS.map(b"".join), st.integers(1, 9), st.integers(1, 20))
def test_rows_are_the_same_however_a_file_is_cut(data: bytes, block: int, size: int) -> None:
    assert read(data, "csv", block, size) == list(joined(data.splitlines(keepends=True)))


@given(PARTS.map(b"".join), st.integers(1, 9), st.integers(1, 20))
def test_lines_are_the_same_however_a_file_is_cut(data: bytes, block: int, size: int) -> None:
    assert read(data, "json", block, size) == [line for line in data.split(b"\n") if line.strip()]


def test_a_file_is_cut_unless_a_row_goes_over_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'1,"a"\n' * 100)
    cut = pieces_of(path, "csv", 200)
    assert [piece.weight for piece in cut] == [204, 204, 192]
    path.write_bytes(b'1,"a"\n' * 100 + b'2,"b\nc"\n')
    assert [piece.joins for piece in pieces_of(path, "csv", 200)] == [True]


@pytest.mark.parametrize(("data", "record"), [(b"", None), (b"\n \n", None), (b'\n"a\nb",c\n1', b'"a\nb",c')])
def test_the_header_is_the_first_row_that_is_not_blank(data: bytes, record: bytes | None, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    assert first_record(tmp_path / "a.csv", "csv") == record
