"""Text files through the scorer: line breaks in quotes, encodings, blank lines, pieces; no value is ever damaged."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyspark.sql import SparkSession

from streaming.batch import pieces, text
from streaming.batch.files import Format
from streaming.errors import ConfigurationError, DataError
from streaming.models.served import ServedModel
from tests.spark.test_batch import AT, ROWS, Bench
from tests.support.models import Shelf, fit_pipeline
from tests.support.seeds import names_with_seeds, with_seeds

HEADER = b"event_id,event_time,carrier,note,distance\n"


@pytest.fixture(scope="module")
def model(shelf: Shelf) -> ServedModel:
    return shelf.model(fit_pipeline)


@pytest.fixture
def bench(spark: SparkSession, model: ServedModel, tmp_path: Path) -> Bench:
    return Bench(spark, model, tmp_path, format="csv", keep=("note",))


def row(name: str, note: bytes, end: bytes = b"\n") -> bytes:
    return f"{name},{AT},UA,".encode() + note + b",90" + end


def put(bench: Bench, data: bytes, name: str = "a.csv") -> None:
    path = bench.inputs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def notes(bench: Bench) -> dict[str, str]:
    return {row["event_id"]: row["note"] for row in bench.read("scored")}


def rejected(bench: Bench, column: str = "row_text") -> list[tuple[str, bytes]]:
    """Read what was written as other programs do, not as Spark does."""
    table = ds.dataset(bench.folder / "rejected", format="parquet").to_table()
    assert table.schema.field(column).type == pa.binary()
    return [(row["reason"], row[column]) for row in table.to_pylist()]


NOTES = {
    "a line feed": (b'"first\nsecond"', "first\nsecond"),
    "carriage returns and a blank line": (b'"first\r\n\r\nthird"', "first\r\n\r\nthird"),
    "a carriage return alone": (b'"first\rsecond"', "first\rsecond"),
    "doubled quotes and commas": (b'"7"" and\n8"", both"', '7" and\n8", both'),
    "a whole row": (b'"\nb,2013-01-01T05:15:00Z,UA,x,90\n"', "\nb,2013-01-01T05:15:00Z,UA,x,90\n"),
}


@pytest.mark.long
def test_fields_with_line_breaks_are_read_whole(bench: Bench) -> None:
    expected: dict[str, str] = {}
    for number, (name, (note, value)) in enumerate(NOTES.items()):
        put(bench, HEADER + row(f"before {name}", b"x") + row(name, note) + row(f"after {name}", b"y"), f"{number}.csv")
        expected |= {f"before {name}": "x", name: value, f"after {name}": "y"}
    assert (bench.score().rows, notes(bench)) == (3 * len(NOTES), expected)


BAD_QUOTES = {
    "a quote that is never closed": b'"007',
    "a quote at the end of a field": b'7"',
    "an open quote behind doubled ones": b'"7"" ""',
    "text behind a closing quote": b'"7"x',
    "a quote behind a space": b' "7"',
    "text behind a closing quote in another line": b'"x\ny"z',
}


def test_rows_whose_quotes_break_the_rules_are_rejected_whole_and_no_others(bench: Bench) -> None:
    expected: dict[str, str] = {}
    for number, (name, note) in enumerate(BAD_QUOTES.items()):
        put(bench, HEADER + row(f"before {name}", b"x") + row(name, note) + row(f"after {name}", b"y"), f"{number}.csv")
        expected |= {f"before {name}": "x", f"after {name}": "y"}
    assert (bench.score().rows, notes(bench)) == (3 * len(BAD_QUOTES), expected)
    assert sorted(rejected(bench)) == sorted(
        ("MALFORMED_ROW", row(name, note).rstrip()) for name, note in BAD_QUOTES.items()
    )


@pytest.mark.long
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_bytes_that_are_not_utf_8_are_rejected_untouched(kind: Format, bench: Bench) -> None:
    bench.format = kind
    line = {
        "csv": row("b", b"Caf\xe9", b""),
        "json": json.dumps({**ROWS[0], "note": "@"}).encode().replace(b"@", b"\xe9"),
    }
    good = {"csv": HEADER + row("a", "Café \ufffd".encode()), "json": json.dumps(ROWS[1]).encode() + b"\n"}
    put(bench, good[kind] + line[kind] + b"\n", f"a.{kind}")
    counts = bench.score()
    assert (counts.scored, counts.rejected) == (1, {"INVALID_UTF8": 1})
    assert rejected(bench, "row_text" if kind == "csv" else "line") == [("INVALID_UTF8", line[kind])]
    if kind == "csv":
        assert notes(bench) == {"a": "Café \ufffd"}


@pytest.mark.parametrize("out", [pytest.param("csv", marks=pytest.mark.long), "json"])
def test_bytes_are_written_to_text_as_text_or_in_base64(out: Format, bench: Bench) -> None:
    bench.out = out
    put(bench, HEADER + row("a", b"Caf\xe9") + b"short \xc3\xa9\n")
    bench.score()
    result = [(line.get("row_text"), line.get("row_text_base64")) for line in bench.read("rejected")]
    assert result == [(None, "YSwyMDEzLTAxLTAxVDA1OjE1OjAwWixVQSxDYWbpLDkw"), ("short é", None)]


@pytest.mark.parametrize(
    ("encoding", "note", "value"),
    [
        pytest.param("iso8859-1", b"Caf\xe9", "Café", id="Latin-1", marks=pytest.mark.long),
        pytest.param("cp1252", b'"5 \x80\nmore"', "5 €\nmore", id="Windows, over two lines", marks=pytest.mark.long),
        pytest.param("shift_jis", "表\\".encode("shift_jis"), "表\\", id="of two bytes, one of them a backslash"),
    ],
)
def test_files_are_read_in_the_encoding_that_is_named(encoding: str, note: bytes, value: str, bench: Bench) -> None:
    bench.encoding = encoding
    put(
        bench,
        HEADER.replace(b"\n", ",é\n".encode(encoding) if encoding != "shift_jis" else b",k\n")
        + row("a", note, b",1\n"),
    )
    bench.score()
    assert notes(bench) == {"a": value}


def test_a_row_that_is_not_in_the_named_encoding_is_rejected_untouched(bench: Bench) -> None:
    bench.encoding = "cp1252"
    put(bench, HEADER + row("a", b"\x81") + row("b", "é".encode("cp1252")))
    bench.score()
    assert (notes(bench), rejected(bench)) == ({"b": "é"}, [("INVALID_UTF8", row("a", b"\x81", b""))])


@pytest.mark.long
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_byte_order_mark_and_blank_lines_are_no_rows_whatever_ends_a_line(kind: Format, bench: Bench) -> None:
    bench.format, bench.keep = kind, ()
    ends = {"line feeds": b"\n", "carriage returns too": b"\r\n"}
    for name, end in ends.items():
        lines = [HEADER.rstrip(), row(f"a {name}", b"x", b""), b"", b" \t", row(f"b {name}", b"y", b"")]
        if kind == "json":
            records = [json.dumps({**ROWS[number], "event_id": f"{number} {name}"}).encode() for number in (0, 1)]
            lines = [b"", records[0], b" ", records[1], b""]
        put(bench, b"\xef\xbb\xbf" + end.join([*lines, b""]), f"{name}.{kind}")
    counts = bench.score()
    assert (counts.rows, counts.scored) == (4, 4)
    assert len({line["event_id"] for line in bench.read("scored")}) == 4


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data[:999]) + gzip.compress(data[999:]),
    ".bz2": bz2.compress,
    ".zst": lambda data: bytes(pa.compress(data, "zstd", asbytes=True)),
}


@pytest.mark.parametrize("suffix", names_with_seeds(COMPRESS, {".gz"}))
@pytest.mark.parametrize("note", with_seeds({"of one line": b"x", "of two lines": b'"x\ny"'}, {"of two lines"}))
def test_files_are_read_in_pieces_and_every_row_once(
    suffix: str, note: bytes, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "_LEAST", 2_000)
    monkeypatch.setattr(pieces, "_BLOCK", 700)
    ids = [f"{name}{number}" for name in "ab" for number in range(300)]
    for name in "ab":
        rows = [row(f"{name}{number}", note) for number in range(300)]
        put(bench, COMPRESS[suffix](HEADER + b"".join(rows)), f"{name}.csv{suffix}")
    assert bench.score().rows == 600
    assert sorted(row["event_id"] for row in bench.read("scored")) == sorted(ids)
    is_split = suffix == "" and note == b"x"
    assert (len(list((bench.folder / "scored").glob("*.parquet"))) > 2) == is_split


def test_each_file_is_read_by_its_own_header_and_its_folders_are_text(bench: Bench) -> None:
    bench.keep = ("note", "store", "extra")
    put(bench, HEADER + row("a", b"x"), "store=007/a.csv")
    put(bench, b'extra,carrier,"event_id",distance,event_time\n01,UA,b,90,' + AT.encode(), "store=1%3A2/b.csv")
    bench.score()
    result = {line["event_id"]: (line["note"], line["store"], line["extra"]) for line in bench.read("scored")}
    assert result == {"a": ("x", "007", None), "b": (None, "1:2", "01")}


@pytest.mark.long
def test_files_that_are_not_alike_keep_their_line_breaks_and_reject_their_own_rows(bench: Bench) -> None:
    bench.keep = ("note", "store")
    turned = b"carrier,extra,extra,note,event_id,distance,event_time\n"
    bad = b"UA,,,Caf\xe9,c,90," + AT.encode()
    put(bench, HEADER + row("a", b'"first\nsecond"') + b"short\n", "store=007/a.csv")
    put(bench, turned + b'UA,1,2,"x\ny",b,90,' + AT.encode() + b"\n" + bad + b"\n", "store=012/b.csv")
    put(bench, b"", "store=013/c.csv")
    assert bench.score().rejected == {"MALFORMED_ROW": 1, "INVALID_UTF8": 1}
    assert {(line["event_id"], line["note"], line["store"]) for line in bench.read("scored")} == {
        ("a", "first\nsecond", "007"),
        ("b", "x\ny", "012"),
    }
    assert sorted(rejected(bench)) == [("INVALID_UTF8", bad), ("MALFORMED_ROW", b"short")]
    assert {(line["reason"], line["store"]) for line in bench.read("rejected")} == {
        ("INVALID_UTF8", "012"),
        ("MALFORMED_ROW", "007"),
    }


@pytest.mark.long
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_name_may_have_a_colon_as_times_have(kind: Format, bench: Bench) -> None:
    bench.format, bench.keep = kind, ()
    bench.folder = bench.folder / "10:00"
    bench.folder.mkdir()
    bench.write(ROWS, "2026-01-01T10:00:00")
    assert (bench.score().scored, len(bench.read("scored"))) == (2, 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param("événement,b\n".encode("latin-1"), r"not UTF-8 \(byte 1\); name .* --encoding", id="Latin-1"),
        pytest.param("a,b\n".encode("utf-16-be"), "NUL byte", id="UTF-16"),
        pytest.param(b'a,"b\n1,2\n', "is not CSV", id="an open quote"),
        pytest.param(b"Distance,distance0\n", "differ only in case", id="names that differ in case"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused_with_its_file(data: bytes, message: str, bench: Bench) -> None:
    put(bench, HEADER + b"distance0".join([row("a", b"x")]), "a.csv")
    put(bench, data if b"0" not in data else b"Distance\n1\n", "b.csv")
    with pytest.raises(ConfigurationError, match=message):
        bench.score()


def test_a_damaged_archive_is_named(bench: Bench) -> None:
    put(bench, gzip.compress(HEADER + b"".join(row(str(number), b"x") for number in range(9_999)))[:-99], "a.csv.gz")
    with pytest.raises(ConfigurationError, match=r"a\.csv\.gz cannot be read"):
        bench.score()


@pytest.mark.parametrize("kind", ["csv", pytest.param("json", marks=pytest.mark.long)])
def test_an_archive_that_is_damaged_behind_its_header_is_named(
    kind: Format, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_BLOCK", 700)
    bench.format, bench.keep = kind, ()
    rows = b"".join(row(f"{number:x}", str(number**9).encode()) for number in range(9_999))
    lines = "".join(json.dumps({**ROWS[0], "note": str(number**9)}) + "\n" for number in range(9_999))
    put(bench, gzip.compress(HEADER + rows if kind == "csv" else lines.encode())[:-99], f"a.{kind}.gz")
    bench.write(ROWS, "b")
    with pytest.raises(DataError, match=rf"^/\S+/in/a\.{kind}\.gz cannot be read: .*Truncated"):
        bench.score()
