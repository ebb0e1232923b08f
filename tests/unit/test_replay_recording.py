"""Recordings: what is written is what is read, to the byte, and a recording is whole or not there."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import ConfigurationError, DataError
from streaming.offsets import OffsetRange
from streaming.replay.lines import read_lines
from streaming.replay.recording import MANIFEST, RecordedEvent, Recording, open_recording, recording_to
from streaming.settings import EventSettings
from tests.support.laws import examples

BYTES = st.none() | st.binary(max_size=20)
HEADERS = st.none() | st.lists(st.tuples(st.sampled_from(["", "a", "é", "a"]), BYTES), min_size=1, max_size=4)
Row = tuple[int, int, bytes | None, bytes | None, list[tuple[str, bytes | None]] | None]
RECORDS = st.lists(st.tuples(st.integers(1, 5), st.integers(-1, 2**41), BYTES, BYTES, HEADERS), max_size=12)


def numbered(rows: list[Row]) -> list[RecordedEvent]:
    """Records with gaps between their offsets, as transactions leave them."""
    offsets = accumulate(step for step, *_ in rows)
    return [
        RecordedEvent(offset, at, key, value, headers)
        for offset, (_, at, key, value, headers) in zip(offsets, rows, strict=True)
    ]


def record(folder: Path, parts: dict[int, list[RecordedEvent]], end: int = 100) -> Recording:
    with recording_to(folder, "features") as writer:
        for partition, records in parts.items():
            for one in records:
                writer.add(partition, one)
        writer.finish("id", {partition: OffsetRange(0, end) for partition in parts})
    return open_recording(folder)


@given(st.lists(RECORDS, min_size=1, max_size=3))
@examples(60)
def test_what_is_recorded_is_read_back_to_the_byte(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[Row]]
) -> None:
    parts = {partition: numbered(part) for partition, part in enumerate(rows)}
    result = record(tmp_path_factory.mktemp("r") / "recording", parts)
    assert {partition: list(result.records(partition)) for partition in result.parts} == parts
    assert result.rows == sum(map(len, parts.values()))
    assert result.ranges == dict.fromkeys(parts, OffsetRange(0, 100))
    assert (result.topic, result.topic_id) == ("features", "id")


def test_row_groups_are_bounded_and_keep_the_order(tmp_path: Path) -> None:
    records = [RecordedEvent(offset, 5, None, bytes(1024 * 1024)) for offset in range(40)]
    result = record(tmp_path / "recording", {0: records})
    assert pa.parquet.ParquetFile(result.path(0)).num_row_groups == 2
    assert list(result.records(0)) == records


@pytest.mark.parametrize("change", ["value", "end"])
def test_the_digest_names_the_content(tmp_path: Path, change: str) -> None:
    first = record(tmp_path / "a", {0: [RecordedEvent(1, 2, b"k", b"v")]})
    again = record(tmp_path / "b", {0: [RecordedEvent(1, 2, b"k", b"v")]})
    value, end = (b"w", 100) if change == "value" else (b"v", 101)
    other = record(tmp_path / "c", {0: [RecordedEvent(1, 2, b"k", value)]}, end)
    assert first.digest == again.digest != other.digest


def test_a_recording_that_fails_is_not_there_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), recording_to(tmp_path / "recording", "features") as writer:
        writer.add(0, RecordedEvent(0, 0, None, b"v"))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    record(tmp_path / "recording", {0: []})
    with pytest.raises(ConfigurationError, match="is there already"):
        record(tmp_path / "recording", {0: []})


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    result = record(tmp_path / "recording", {0: [RecordedEvent(0, 0, None, b"v")]})
    damaged = bytearray(result.path(0).read_bytes())
    damaged[10] ^= 1
    result.path(0).write_bytes(damaged)
    with pytest.raises(DataError, match=r"partition-00000.parquet is not as it was recorded"):
        open_recording(result.folder)


def test_a_later_format_and_a_folder_without_manifest_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a recording"):
        open_recording(tmp_path)
    result = record(tmp_path / "recording", {0: []})
    manifest = result.folder / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 2, "made_by": "9"}))
    with pytest.raises(ConfigurationError, match=r"made by Penstock 9"):
        open_recording(result.folder)


LINES = b'{"at": "2013-01-01T05:15:00Z", "tail": "N1"}\n\n not JSON\r\n{"tail": 2, "at": "never"}\n{"at": "2013-01-02"}'


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: bytes(pa.compress(data, "zstd", asbytes=True)),
}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_json_lines_become_records(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events.jsonl{suffix}"
    path.write_bytes(COMPRESS[suffix](LINES))
    first, last = 1357017300000, 1357084800000
    assert list(read_lines(path, EventSettings(time="at", key="tail"))) == [
        (0, RecordedEvent(0, first, b"N1", b'{"at": "2013-01-01T05:15:00Z", "tail": "N1"}')),
        (0, RecordedEvent(2, first, None, b" not JSON")),
        (0, RecordedEvent(3, first, b"2", b'{"tail": 2, "at": "never"}')),
        (0, RecordedEvent(4, last, None, b'{"at": "2013-01-02"}')),
    ]


def test_equal_keys_are_in_one_partition(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps({"ms": number, "tail": number % 20}) + "\n" for number in range(70)))
    result = list(read_lines(path, EventSettings(time="ms", time_format="epoch_ms", key="tail"), partitions=3))
    places = {(record.key, partition) for partition, record in result}
    assert len(places) == 20
    assert {partition for _, partition in places} == {0, 1, 2}
    assert [record.timestamp for _, record in result] == list(range(70))


def events(path: Path, count: int, fields: Callable[[int], dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps({"ms": number, **fields(number)}) + "\n" for number in range(count)))
    return path


@pytest.mark.parametrize("partitions", [1, 4, 7])
def test_events_without_a_key_are_spread_evenly_and_alike_each_time(partitions: int, tmp_path: Path) -> None:
    path = events(tmp_path / "events.jsonl", 1_000, lambda _: {})
    result = [partition for partition, _ in read_lines(path, EventSettings(), partitions)]
    assert result == [partition for partition, _ in read_lines(path, EventSettings(), partitions)]
    shares = [result.count(partition) for partition in range(partitions)]
    assert max(shares) - min(shares) <= 1


def test_events_without_a_key_do_not_move_those_that_have_one(tmp_path: Path) -> None:
    path = events(tmp_path / "events.jsonl", 90, lambda number: {"tail": number % 9 if number % 2 else None})
    result = list(read_lines(path, EventSettings(key="tail"), 3))
    for key in {record.key for _, record in result} - {None}:
        of_key = [(partition, record.offset) for partition, record in result if record.key == key]
        assert len({partition for partition, _ in of_key}) == 1
        assert of_key == sorted(of_key)
    spread = [partition for partition, record in result if record.key is None]
    assert {spread.count(partition) for partition in range(3)} == {15}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x89PNG\r\n\x1a\n\x00\x00\n7\n\x00", id="a picture, a line of which is a number"),
        pytest.param(b"PK\x03\x04\x14\x00", id="an archive"),
        pytest.param(b"id,km\n1,2\n", id="CSV"),
    ],
)
def test_a_file_without_any_event_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"events\.jsonl holds no events: none of its \d lines"):
        list(read_lines(tmp_path / "events.jsonl", EventSettings()))


def test_a_damaged_archive_of_lines_is_named(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl.gz").write_bytes(gzip.compress(LINES)[:-20])
    with pytest.raises(ConfigurationError, match=r"events\.jsonl\.gz cannot be read"):
        list(read_lines(tmp_path / "events.jsonl.gz", EventSettings()))


def test_a_byte_order_mark_is_no_part_of_the_first_event(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\n')
    assert [record.value for _, record in read_lines(tmp_path / "events.jsonl", EventSettings())] == [b'{"a": 1}']


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no file .*gone.jsonl"):
        list(read_lines(tmp_path / "gone.jsonl", EventSettings()))
