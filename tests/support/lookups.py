"""A lookup table in a topic or in memory, and a version that scores by its column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from streaming.accounting.load import Publisher
from streaming.errors import LookupUnavailableError
from streaming.lookup.join import TableLookup
from streaming.lookup.table_source import TableChunk, TableRecord
from streaming.lookup_state import LookupState
from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.scoring.in_process import InProcessLoader
from streaming.scoring.looked_up import LookupLoader
from tests.support.many import RECORDS, save_regression, signature_of

COLUMNS = {"bonus": {"type": "double", "default": -1.0}}
"""What is looked up; the version's prediction is 1,000 + the event's ``x`` + ``bonus``."""


def bonus_package(folder: Path) -> ModelPackage:
    """Return a version whose signature has a column that no event has."""
    columns = ("x", "bonus")
    return ModelPackage(
        version=ModelVersion("bonuses", 1, "run1"),
        root=folder,
        pipeline_dir=save_regression(folder / "model", 1_000.0, columns),
        digest="bonus",
        signature=signature_of(columns),
        golden=GoldenRows((GoldenRow(dict.fromkeys(columns, 1.0), 1_002.0),)),
    )


def bonus_model(folder: Path, lookup: TableLookup, *, singly: bool = False) -> ServedModel:
    """Return the version as a job serves it that looks the column up, or ``singly`` a server."""
    types = {name: column.type for name, column in lookup.settings.columns.items()}
    loader = LookupLoader(InProcessLoader(lookup.envelope, 1 << 20, singly=singly), lookup, types)
    return loader.load(bonus_package(folder), "")


def scored_keys(folder: Path, lookup: TableLookup, state: LookupState, *keys: Any) -> list[dict[str, Any]]:
    """Score an event of ``x`` 0 for each record key; its field ``who`` has the key, too."""
    rows = [
        {"key": key and key.encode(), "value": lookup_event(0, who=key), "partition": 0, "offset": at, "timestamp": 0}
        for at, key in enumerate(keys)
    ]
    row_pass = bonus_model(folder, lookup).row_pass
    assert row_pass is not None
    batch = row_pass.score(pa.RecordBatch.from_pylist(rows, RECORDS), state)
    names = ("verdict", "prediction", "lookup", "lookup_age")
    return [{name: row[f"__penstock_{name}"] for name in names} for row in batch.to_pylist()]


def put(servers: str, topic: str, rows: Mapping[str, float | None], **more: Any) -> None:
    """Write bonuses to the table's topic; ``None`` deletes a key."""
    publisher = Publisher(servers, topic)
    for key, bonus in rows.items():
        publisher.send(None if bonus is None else json.dumps({"bonus": bonus}).encode(), key=key, **more)
    publisher.finish(30)


def lookup_event(number: int, **changes: Any) -> bytes:
    """A valid event; a change of ``...`` leaves the field out."""
    fields = {"event_id": f"e{number}", "event_time": "2013-01-01T05:15:00Z", "x": float(number), **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


@dataclass
class MemorySource:
    """A :class:`streaming.lookup.table_source.TableSource` in memory: a list of records, ``most`` at a time."""

    records: list[TableRecord] = field(default_factory=list)
    most: int = 3
    reads: int = 0
    problem: str = ""

    def put(self, key: str, value: Any, partition: int = 0, timestamp: int = 0) -> None:
        """Append a record; a value of ``None`` is a tombstone, bytes stay as they are."""
        offset = sum(record.partition == partition for record in self.records)
        data = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
        self.records.append(TableRecord(partition, offset, timestamp, key.encode(), data))

    def ends(self, partitions: int = 1) -> tuple[int, ...]:
        """Where each partition ends now."""
        return tuple(sum(r.partition == p for r in self.records) for p in range(partitions))

    def chunk(self, positions: Sequence[int], ends: Sequence[int], seconds: float) -> TableChunk:
        if self.problem:
            raise LookupUnavailableError(self.problem)
        self.reads += 1
        reached = []
        taken: list[TableRecord] = []
        for partition, end in enumerate(ends):
            unread = [r for r in self.records if r.partition == partition and positions[partition] <= r.offset < end]
            taken += unread[: self.most]
            # Behind the last record a reader comes to the end, over what compaction has removed.
            is_read = len(unread) <= self.most
            reached.append(max(end, positions[partition]) if is_read else unread[self.most].offset)
        return TableChunk(taken, tuple(reached))
