"""A recording: a stretch of a topic as Parquet, one file per partition in offset order, which gives every byte back.

``recording.json`` beside the files says what they hold. A recording is written to a hidden folder and renamed, so that
it is whole or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from streaming.errors import ConfigurationError, DataError
from streaming.offsets import OffsetRange
from streaming.version import __version__
from streaming.whole_folder import whole_folder

FORMAT = 1
MANIFEST = "recording.json"
SCHEMA = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.int64()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
    ]
)
"""``timestamp`` is in milliseconds since 1970; ``headers`` is null for a record without any."""
_GROUP_ROWS = 50_000
_GROUP_BYTES = 32 * 1024 * 1024
"""A row group holds at most so much; it is what a writer keeps in memory per partition."""
_BLOCK = 1024 * 1024


class RecordedEvent(NamedTuple):
    """One record of a partition; ``timestamp`` in milliseconds since 1970."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] | None = None


@dataclass(frozen=True)
class Part:
    """One partition's file. Not every offset of ``part`` need hold a record."""

    file: str
    part: OffsetRange
    rows: int
    sha256: str


@dataclass(frozen=True)
class Recording:
    """A recording whose files were checked. ``digest`` changes with any byte of any record, and with the ranges."""

    folder: Path
    topic: str
    topic_id: str
    parts: Mapping[int, Part]

    @property
    def ranges(self) -> dict[int, OffsetRange]:
        """What was recorded of each partition."""
        return {partition: part.part for partition, part in self.parts.items()}

    @property
    def rows(self) -> int:
        """The records of all partitions."""
        return sum(part.rows for part in self.parts.values())

    @property
    def digest(self) -> str:
        """What names the content: SHA-256 over the topic, the ranges and the files' own digests."""
        return _digest(self.topic, self.topic_id, self.parts)

    def path(self, partition: int) -> Path:
        """Return the partition's file."""
        return self.folder / self.parts[partition].file

    def records(self, partition: int) -> Iterator[RecordedEvent]:
        """Yield a partition's records in order."""
        with pq.ParquetFile(self.path(partition)) as file:
            for batch in file.iter_batches(columns=["offset", "timestamp", "key", "value", "headers"]):
                columns = [column.to_pylist() for column in batch.columns]
                for offset, timestamp, key, value, headers in zip(*columns, strict=True):
                    yield RecordedEvent(
                        offset=offset, timestamp=timestamp, key=key, value=value, headers=_pairs(headers)
                    )

    def recent(self, count: int) -> Sequence[bytes]:
        """Return up to ``count`` values, the first of each partition; tombstones are left out."""
        share = max(1, count // max(len(self.parts), 1))
        firsts = (islice(self.records(partition), share) for partition in self.parts)
        return [record.value for records in firsts for record in records if record.value is not None][:count]


def open_recording(folder: Path) -> Recording:
    """Return a recording after comparing its files with the digests that were taken when it was made.

    Raises:
        ConfigurationError: there is no recording here, or a later version of Penstock made it.
        DataError: a file was changed or is missing.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(
            f"{folder} is not a recording: it has no {MANIFEST}; penstock record makes one"
        ) from None
    except ValueError as problem:
        raise DataError(f"{folder / MANIFEST} is damaged ({problem}); restore the file, or record it again") from None
    if manifest["format"] != FORMAT:
        raise ConfigurationError(
            f"{folder} has format {manifest['format']} (made by Penstock {manifest['made_by']}), and this is Penstock"
            f" {__version__}, which reads format {FORMAT}; record it again, or use that version"
        )
    recording = Recording(folder, manifest["topic"], manifest["topic_id"], dict(_parts(manifest)))
    for partition, part in recording.parts.items():
        path = recording.path(partition)
        # Every byte is read: a replay of a damaged recording would look like another model.
        if not path.exists() or _sha256(path) != part.sha256:
            raise DataError(f"{path} is not as it was recorded; restore the file, or record it again")
    return recording


class RecordingWriter:
    """Takes records, each partition's in order, from :func:`recording_to`."""

    def __init__(self, folder: Path, topic: str) -> None:
        self._folder = folder
        self._topic = topic
        self._files: dict[int, _PartitionFile] = {}

    def add(self, partition: int, record: RecordedEvent) -> None:
        """Take the partition's next record."""
        if partition not in self._files:
            self._files[partition] = _PartitionFile(self._folder, self._topic, partition)
        self._files[partition].add(record)

    def flush(self, partition: int) -> None:
        """Keep nothing of a partition in memory, as after its last record."""
        if partition in self._files:
            self._files[partition].flush()

    def finish(self, topic_id: str, ranges: Mapping[int, OffsetRange]) -> None:
        """Write what is left, and the manifest; ``ranges`` are the offsets that were read."""
        parts = {}
        for partition, part in sorted(ranges.items()):
            # A partition without records has a file as well, since the manifest names one for each.
            file = self._files.pop(partition, None) or _PartitionFile(self._folder, self._topic, partition)
            rows = file.close()
            parts[partition] = Part(file.path.name, part, rows, _sha256(file.path))
        (self._folder / MANIFEST).write_text(json.dumps(_description(self._topic, topic_id, parts), indent=1), "utf-8")

    def abandon(self) -> None:
        """Let go of files that were not finished."""
        for file in self._files.values():
            file.close()


@contextmanager
def recording_to(folder: Path, topic: str) -> Iterator[RecordingWriter]:
    """Yield a writer; what it has finished appears as ``folder`` at the end of the block.

    Raises:
        ConfigurationError: there is something at ``folder`` already.
    """
    with whole_folder(folder) as partial:
        writer = RecordingWriter(partial, topic)
        try:
            yield writer
        finally:
            writer.abandon()


class _PartitionFile:
    def __init__(self, folder: Path, topic: str, partition: int) -> None:
        self.path = folder / f"partition-{partition:05d}.parquet"
        self._constants = topic, partition
        self._writer = pq.ParquetWriter(self.path, SCHEMA, compression="zstd", use_dictionary=["topic", "partition"])
        self._waiting: list[RecordedEvent] = []
        self._bytes = 0
        self._rows = 0

    def add(self, record: RecordedEvent) -> None:
        self._waiting.append(record)
        self._bytes += len(record.value or b"") + len(record.key or b"")
        if len(self._waiting) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self.flush()

    def close(self) -> int:
        """Return the rows written."""
        self.flush()
        self._writer.close()
        # On disk before the manifest and the rename say that the recording is whole.
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        return self._rows

    def flush(self) -> None:
        if not self._waiting:
            return
        offsets, timestamps, keys, values, headers = zip(*self._waiting, strict=True)
        rows = len(offsets)
        topics, partitions = ([constant] * rows for constant in self._constants)
        named = [_structs(of_one) for of_one in headers]
        columns = [topics, partitions, offsets, timestamps, keys, values, named]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
        self._rows += rows
        self._waiting, self._bytes = [], 0


def _structs(headers: Sequence[tuple[str, bytes | None]] | None) -> list[dict[str, Any]] | None:
    return [{"key": name, "value": word} for name, word in headers] if headers else None


def _pairs(headers: list[dict[str, Any]] | None) -> list[tuple[str, bytes | None]] | None:
    return None if headers is None else [(header["key"], header["value"]) for header in headers]


def _description(topic: str, topic_id: str, parts: Mapping[int, Part]) -> dict[str, Any]:
    described = {
        str(partition): {
            "file": part.file,
            "start": part.part.start,
            "end": part.part.end,
            "rows": part.rows,
            "sha256": part.sha256,
        }
        for partition, part in parts.items()
    }
    made = {"format": FORMAT, "made_by": __version__, "digest": _digest(topic, topic_id, parts)}
    return {**made, "topic": topic, "topic_id": topic_id, "partitions": described}


def _parts(manifest: Mapping[str, Any]) -> Iterator[tuple[int, Part]]:
    for partition, part in manifest["partitions"].items():
        yield int(partition), Part(part["file"], OffsetRange(part["start"], part["end"]), part["rows"], part["sha256"])


def _digest(topic: str, topic_id: str, parts: Mapping[int, Part]) -> str:
    listed = [(p, part.part.start, part.part.end, part.rows, part.sha256) for p, part in sorted(parts.items())]
    return hashlib.sha256(json.dumps([topic, topic_id, listed]).encode()).hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
