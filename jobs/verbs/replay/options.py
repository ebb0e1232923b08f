"""What ``penstock replay`` is asked to do."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.configuration.paths import require_readable_file, require_writable
from jobs.wiring.replaying import topic_destination, topic_source
from jobs.wiring.session import require_log
from jobs.wiring.stretch import Stretch
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.scan import KafkaScan
from streaming.backtest.metrics import EVERY
from streaming.backtest.options import Options
from streaming.errors import ConfigurationError
from streaming.replay.destinations import Destination, FolderDestination, replayed_files
from streaming.replay.pace import Pace
from streaming.replay.recording import open_recording
from streaming.replay.source import RecordingSource, Source
from streaming.settings import Settings

HOME = Path(".penstock")
SPARK_LOG = HOME / "replay-spark.log"
_ALL = Stretch()


@dataclass(frozen=True)
class SourceWords:
    """The command line's words: a recording's folder, or a topic (the input by default) and a stretch of it."""

    recording: Path | None = None
    topic: str | None = None
    stretch: Stretch = _ALL

    def open(self, settings: Settings, scan: KafkaScan) -> Source:
        """Return what they mean.

        Raises:
            ConfigurationError: both are named, or it is not there.
            DataError: the recording is damaged.
        """
        self.stretch.span()
        if self.recording is None:
            topic = KafkaAdmin(settings.kafka, settings.application).required_topic(self.topic or settings.input.topic)
            return topic_source(settings, scan, topic, self.stretch)
        if self.topic or self.stretch != _ALL:
            raise ConfigurationError("a recording is replayed whole; leave out which part of a topic")
        return RecordingSource(open_recording(self.recording))


@dataclass(frozen=True)
class VersionWords:
    """The command line's words; exactly one of them is given."""

    version: int | None = None
    alias: str | None = None
    as_served: bool = False

    def check(self) -> None:
        """Raise ``ConfigurationError`` unless exactly one is given."""
        if sum((self.version is not None, self.alias is not None, self.as_served)) != 1:
            raise ConfigurationError("say which version to replay with: --model-version, or --alias, or --as-served")

    def __str__(self) -> str:
        """Return them as they stand in a plan, and in a replay's name."""
        if self.as_served:
            return "as-served"
        return self.alias if self.alias is not None else f"v{self.version}"


@dataclass(frozen=True)
class SinkWords:
    """Where to: a topic, or a folder of Parquet. ``name`` tells replays into topics apart."""

    topic: str | None = None
    folder: Path | None = None
    name: str | None = None

    def check(self, speed: str) -> None:
        """Raise ``ConfigurationError`` unless exactly one place is given, and the speed makes sense there."""
        if (self.topic is None) == (self.folder is None):
            raise ConfigurationError("say where to replay to: --to-topic, or --out")
        if self.topic is None and speed != "max":
            raise ConfigurationError(f"--speed {speed} is for a topic; into Parquet a replay goes as fast as it can")

    def destination(self, settings: Settings, default: str) -> Destination:
        """Return the place; ``default`` is the name of a replay that has none."""
        if self.folder is not None:
            return FolderDestination(self.folder)
        return topic_destination(settings, HOME, self.topic or "", self.name or default)


@dataclass(frozen=True)
class CompareWords:
    """The command line's words. ``against`` is another replay's folder, in place of what the live job wrote."""

    report: Path
    against: Path | None = None
    labels: Path | None = None
    options: Options | None = None


def comparison_words(
    report: Path | None, against: Path | None, labels: Path | None, options: Options
) -> CompareWords | None:
    """Return the words, ``None`` if no comparison is asked for; raises ``ConfigurationError`` for half a question."""
    names = [metric.name for metric in EVERY]
    if options.metric and options.metric not in names:
        raise ConfigurationError(f"--metric {options.metric} is none; there are {', '.join(names)}")
    if report is not None:
        return CompareWords(report, against, labels, options)
    if against is not None or labels is not None or options != Options():
        raise ConfigurationError(
            "--against, --labels, --metric and --positive belong to a comparison;"
            " say with --compare where its report goes"
        )
    return None


@dataclass(frozen=True)
class Order:
    """What the command line asks for. ``rows`` bounds a chunk, by default as the live job's batches."""

    source: SourceWords
    versions: VersionWords
    sink: SinkWords
    speed: str = "max"
    rows: int | None = None
    comparison: CompareWords | None = None

    def check(self) -> None:
        """Raise ``ConfigurationError`` for what contradicts itself."""
        self.versions.check()
        self.sink.check(self.speed)
        self.pace()
        if self.comparison is not None and self.sink.folder is None:
            raise ConfigurationError("--compare needs the predictions as Parquet; leave --to-topic out")

    def check_paths(self, cache_dir: Path) -> None:
        """Raise ``ConfigurationError`` for what cannot be written or read."""
        require_log(SPARK_LOG)
        require_writable(cache_dir, "model.cache_dir")
        if self.sink.folder is not None:
            require_writable(self.sink.folder, "--out")
        if self.comparison is not None:
            require_writable(self.comparison.report, "--compare")
            if self.comparison.against is not None:
                replayed_files(self.comparison.against)
            if self.comparison.labels is not None:
                require_readable_file(self.comparison.labels, "--labels")

    def pace(self) -> Pace | None:
        """Return how fast; ``None`` for as fast as it goes."""
        if self.speed == "max":
            return None
        try:
            speed = 1.0 if self.speed == "original" else float(self.speed)
        except ValueError:
            speed = 0.0
        if not 0 < speed < math.inf:
            raise ConfigurationError(f"--speed {self.speed!r} is none; write original, max, or a number such as 60")
        return Pace(speed, time.monotonic, time.sleep)
