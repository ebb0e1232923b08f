"""What the headers of CSV files say, without a row of them being read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from streaming.batch.headers import header_shapes
from streaming.errors import ConfigurationError


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        pytest.param("a.csv", b"a,b\n1,2\n", ["a", "b"], id="plain"),
        pytest.param("a.csv", b"\xef\xbb\xbfa,b\r\n1,2\r\n", ["a", "b"], id="with a byte order mark"),
        pytest.param("a.csv", b'\n  \n"a ""x"", y",b\n', ['a "x", y', "b"], id="quoted, behind blank lines"),
        pytest.param("a.csv", b"a,,a\n", ["a", "_c1", "a"], id="without a name"),
        pytest.param("a.csv", b'"a\nb",c\n1,2\n', ["a\nb", "c"], id="with a line break in a name"),
        pytest.param("a.csv.gz", gzip.compress(b"a,b\n1,2\n"), ["a", "b"], id="compressed"),
        pytest.param("a.csv", "é,b\n".encode() + b"x" * 2_000_000, ["é", "b"], id="longer than what is looked at"),
    ],
)
def test_a_header_names_columns_as_spark_would(name: str, raw: bytes, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(raw)
    (header,) = header_shapes((tmp_path / name,), tmp_path).values()
    assert [column.name for column in header.columns] == expected


def test_a_csv_file_without_a_line_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\n")
    assert header_shapes((tmp_path / "a.csv",), tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        pytest.param("a.csv", b"caf\xe9,b\n", r"^the header of /\S+/a\.csv is not UTF-8", id="Latin-1"),
        pytest.param("a.csv", b'a,"b\n1,2\n', r"^the header of /\S+/a\.csv is not CSV", id="an open quote"),
        pytest.param("a.csv.gz", gzip.compress(b"a,b\n")[:-9], r"^/\S+/a\.csv\.gz cannot be read", id="cut off"),
    ],
)
def test_a_csv_file_whose_header_cannot_be_read_is_named(name: str, raw: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(ConfigurationError, match=message):
        header_shapes((tmp_path / name,), tmp_path)
