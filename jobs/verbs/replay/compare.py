"""``penstock replay --compare``: compare a candidate with what was recorded, on the same events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.verbs.replay.options import ComparisonOptions
from streaming.adapters.kafka.outputs import KafkaOutputs
from streaming.adapters.kafka.scan import KafkaScan
from streaming.backtest.comparison import Comparison, compare
from streaming.backtest.labels import read_labels
from streaming.backtest.options import Names
from streaming.backtest.paired import pair
from streaming.backtest.report import write_page, write_report
from streaming.offsets import OffsetRange
from streaming.outputs.read_back import Output
from streaming.replay.chunks import Segments
from streaming.replay.destinations import replayed_files
from streaming.replay.source import ReplaySource
from streaming.settings import Settings

_TYPES = {
    "partition": pa.int32(),
    "offset": pa.int64(),
    "event_id": pa.string(),
    "event_time": pa.string(),
    "prediction": pa.float64(),
    "label": pa.string(),
    "probability": pa.list_(pa.float64()),
    "model_version": pa.int64(),
    "reason": pa.string(),
}
_BLOCK = 50_000
"""Rows that are kept as Python objects at a time."""


def compare_with_recorded(
    options: ComparisonOptions, candidate: Path, source: ReplaySource, segments: Segments, recorded: Recorded
) -> Comparison:
    """Compare, and write the report.

    Raises:
        ConfigurationError: the labels, or the folder to compare with, are not what they should be.
        DataError: there is nothing in common.
    """
    labels = read_labels(options.labels) if options.labels is not None else None
    before = replayed(options.against) if options.against is not None else recorded.table(source, segments)
    after = replayed(candidate)
    names = Names(_name(before), _name(after), str(source))
    comparison = compare(pair(before, after), names, labels, source.values, options.method)
    if options.report is not None:
        write_report(comparison, options.report)
    if options.html is not None:
        write_page(comparison, options.html)
    return comparison


def replayed(folder: Path) -> pa.Table:
    """Return what a replay wrote to a folder of Parquet; raises ``ConfigurationError`` if the folder has nothing."""
    files = replayed_files(folder)
    tables = (pq.read_table(file, columns=[*_TYPES, "model_name"]) for file in files)
    # Chunks that different forms of a version scored differ in whether a list may hold nulls.
    return pa.concat_tables(tables, promote_options="default")


@dataclass(frozen=True)
class Recorded:
    """Reads what the live job wrote from its topics."""

    settings: Settings
    scan: KafkaScan

    def table(self, source: ReplaySource, segments: Segments) -> pa.Table:
        """Return the outputs of the events that were replayed."""
        settings = self.settings
        topics = settings.output.predictions, settings.dead_letter_topic
        outputs = KafkaOutputs(self.scan, topics, settings.application)
        rows = (_row(output) for output in self._outputs(outputs, source, segments))
        schema = pa.schema([*_TYPES.items(), ("model_name", pa.string())])
        return pa.Table.from_batches(list(_batches(rows, schema)), schema)

    def _outputs(self, outputs: KafkaOutputs, source: ReplaySource, segments: Segments) -> Iterator[Output]:
        timeline = source.timeline()
        for partition, parts in segments.items():
            if parts:
                part = OffsetRange(parts[0].part.start, parts[-1].part.end)
                since = timeline.first(partition, part.start)
                yield from outputs.within(source.topic, partition, part, since)


def _batches(rows: Iterator[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    block: list[dict[str, Any]] = []
    for row in rows:
        block.append(row)
        if len(block) == _BLOCK:
            yield pa.RecordBatch.from_pylist(block, schema)
            block = []
    yield pa.RecordBatch.from_pylist(block, schema)


def _row(output: Output) -> dict[str, Any]:
    _, partition, offset = output.source
    position = {"partition": partition, "offset": offset, "model_version": output.version}
    if output.kind == "dead letter":
        return {**position, "reason": output.reason}
    value = json.loads(output.record.value or b"{}")
    return {**{name: value.get(name) for name in _TYPES}, **position, "model_name": output.model, "reason": None}


def _name(side: pa.Table) -> str:
    """Return ``flights v1, v2`` for a side that these versions made."""
    made = side.group_by(["model_name", "model_version"]).aggregate([]).to_pylist()
    models = sorted({row["model_name"] for row in made if row["model_name"] is not None})
    versions = sorted({row["model_version"] for row in made if row["model_version"] is not None})
    return f"{', '.join(models)} {', '.join(f'v{version}' for version in versions)}".strip()
