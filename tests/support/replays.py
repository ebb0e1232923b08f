"""A replay over a bench's broker and Spark session, wired as the verb wires it, and what is compared afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from jobs.verbs.replay.options import VersionOptions
from jobs.verbs.replay.versions import segments_of
from jobs.wiring.replaying import topic_destination, topic_source
from jobs.wiring.stretch import Stretch
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.recording import KafkaStretch, Span
from streaming.adapters.kafka.replay_destination import TopicDestination
from streaming.adapters.kafka.replay_source import TopicSource
from streaming.adapters.kafka.scan import KafkaScan, stored
from streaming.clock import isoformat, system_clock
from streaming.ledger.arms import PlannedArms
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.outputs.read_back import read_output
from streaming.replay.chunks import Chunk, Segments, assigned, cut, ends
from streaming.replay.destinations import Destination, FolderDestination
from streaming.replay.plan import settled
from streaming.replay.recording import Recording, open_recording, recording_to
from streaming.replay.rows import COLUMNS
from streaming.replay.run import Replay, Versions
from streaming.replay.sinks import ReplayCounts
from streaming.replay.source import ReplaySource
from tests.support.engine import Bench

Row = dict[str, Any]
PLACE = ("topic", "partition", "offset", "key", "reason", "model_version")
SCORED = ("prediction_id", "event_id", "prediction", "label", "probability", "confidence", "model_name")


class StoppedError(Exception):
    """Where a replay dies in a test."""


@dataclass
class Theatre:
    """Replays of one bench's topic."""

    bench: Bench
    models: Mapping[int, ServedModel]
    loaded: list[int] = field(default_factory=list)

    def record(self, folder: Path) -> Recording:
        with KafkaScan(self.bench.kafka, "test") as scan, recording_to(folder, self.bench.topic) as writer:
            stretch = KafkaStretch(scan, self.bench.topic)
            ranges = stretch.ranges(Span())
            for partition, part in ranges.items():
                for one in stretch.records(partition, part):
                    writer.add(partition, one)
            writer.finish(KafkaAdmin(self.bench.kafka, "test").required_topic(self.bench.topic).id, ranges)
        return open_recording(folder)

    def topic(self, scan: KafkaScan) -> TopicSource:
        result = KafkaAdmin(self.bench.kafka, "test").required_topic(self.bench.topic)
        return topic_source(self.bench.settings, scan, result, Stretch())

    def as_served(self, source: ReplaySource) -> Segments:
        with KafkaScan(self.bench.kafka, "test") as scan:
            return segments_of(VersionOptions(as_served=True), self.bench.settings, source, scan)

    def chosen(self, source: ReplaySource, version: int) -> Segments:
        return assigned(source.ranges(), PlannedArms.only(self.models[version].version, "replay"))

    def folder(self, name: str) -> FolderDestination:
        return FolderDestination(self.bench.home / name)

    def to_topic(self, suffix: str, name: str = "again") -> TopicDestination:
        return topic_destination(self.bench.settings, self.bench.home, f"{self.bench.topic}{suffix}", f"{name}{suffix}")

    def run(
        self, source: ReplaySource, segments: Segments, place: Destination, rows: int, stop_after: int | None = None
    ) -> ReplayCounts:
        """Replay, or go on; ``stop_after`` so many chunks it dies."""
        place.plan_file.parent.mkdir(parents=True, exist_ok=True)
        plan = settled(place.plan_file, {"source": str(source)}, lambda: segments)
        sink, left = place.open(plan, source.topic, system_clock)
        frames = source.frames(self.bench.spark)
        loop = Replay(frames, Versions(self._load, lambda _: None), sink, 10, _stopper(stop_after))
        return loop.run(cut(left, rows, [ends(left)]))

    def _load(self, version: ModelVersion) -> ServedModel:
        self.loaded.append(version.version)
        return self.models[version.version]

    def live(self) -> list[Row]:
        """What the live job wrote."""
        return topic_rows(self.bench, ".out", ".dlq")


def _stopper(after: int | None) -> Callable[[Chunk, ReplayCounts], None]:
    seen: list[int] = []

    def report(chunk: Chunk, _: ReplayCounts) -> None:
        seen.append(chunk.number)
        if len(seen) == after:
            raise StoppedError

    return report


def topic_rows(bench: Bench, *suffixes: str) -> list[Row]:
    """What is on output topics, each topic in its options."""
    rows = []
    for suffix in suffixes:
        for message in bench.read(suffix):
            output = read_output(stored(message))
            assert output is not None
            source = dict(zip(("topic", "partition", "offset"), output.source, strict=True))
            value = json.loads(message.value()) if output.kind == "prediction" else {"model_version": output.version}
            rows.append(_comparable({**source, **value, "key": message.key(), "reason": output.reason or None}))
    return rows


def parquet_rows(folder: Path) -> list[Row]:
    """What a Parquet sink wrote, in its own options."""
    rows: list[Row] = []
    for file in sorted(folder.glob("chunk-*/*.parquet")):
        table = pq.read_table(file)
        assert tuple(table.column_names) == COLUMNS
        rows += table.to_pylist()
    return [_comparable(row) for row in rows]


def _comparable(row: Row) -> Row:
    """What both kinds of sink tell; of a dead letter a topic does not tell more."""
    if isinstance(row.get("event_time"), datetime):
        row["event_time"] = isoformat(row["event_time"])
    return {name: row[name] for name in (*PLACE, *((*SCORED, "role", "event_time") if row["reason"] is None else ()))}


def by_place(rows: list[Row]) -> dict[tuple[int, int], Row]:
    """Rows by partition and offset; each place must be there once."""
    result = {(row["partition"], row["offset"]): row for row in rows}
    assert len(result) == len(rows)
    return result
