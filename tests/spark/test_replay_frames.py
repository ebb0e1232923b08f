"""A recording as a frame, wherever it lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from streaming.offsets import OffsetRange
from streaming.replay.frames import RecordingFrames
from streaming.replay.recording import RecordedEvent, open_recording, recording_to


@pytest.mark.parametrize("name", ["a week", "2026-01-01T10:00:00", "week[1]", "100%"])
def test_a_recording_is_read_whatever_its_folder_is_called(name: str, spark: SparkSession, tmp_path: Path) -> None:
    with recording_to(tmp_path / name / "part", "features") as writer:
        writer.add(0, RecordedEvent(7, 1_000, b"k", b"v"))
        writer.finish("id", {0: OffsetRange(7, 8)})
    recording = open_recording(tmp_path / name / "part")
    rows = RecordingFrames(spark, recording).read(recording.ranges).collect()
    assert [(row["offset"], bytes(row["value"])) for row in rows] == [(7, b"v")]
