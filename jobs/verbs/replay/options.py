"""The options of ``penstock replay``."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.configuration.paths import require_readable_file, require_writable, require_writable_file
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
from streaming.replay.source import RecordingSource, ReplaySource
from streaming.settings import Settings

HOME = Path(".penstock")
SPARK_LOG = HOME / "replay-spark.log"
_ALL = Stretch()
_DEFAULT_METHOD = Options()


@dataclass(frozen=True)
class SourceOptions:
    """What is replayed: a recording's folder, or a topic (the input by default) and a stretch of it."""

    recording: Path | None = None
    topic: str | None = None
    stretch: Stretch = _ALL

    def open(self, settings: Settings, scan: KafkaScan) -> ReplaySource:
        """Return the source.

        Raises:
            ConfigurationError: both a recording and a topic are named, or it does not exist.
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
class VersionOptions:
    """Which version scores. Exactly one of the fields is set."""

    version: int | None = None
    alias: str | None = None
    as_served: bool = False

    def check(self) -> None:
        """Raise ``ConfigurationError`` unless exactly one field is set."""
        if sum((self.version is not None, self.alias is not None, self.as_served)) != 1:
            raise ConfigurationError("say which version to replay with: --model-version, or --alias, or --as-served")

    def __str__(self) -> str:
        """Return the text that a plan and a replay's name hold."""
        if self.as_served:
            return "as-served"
        return self.alias if self.alias is not None else f"v{self.version}"


@dataclass(frozen=True)
class SinkOptions:
    """The target of the predictions: a topic, or a folder of Parquet. ``name`` distinguishes replays into one topic."""

    topic: str | None = None
    folder: Path | None = None
    name: str | None = None

    def check(self, speed: str) -> None:
        """Raise ``ConfigurationError`` unless exactly one target is set and the speed can apply to it."""
        if (self.topic is None) == (self.folder is None):
            raise ConfigurationError("say where to replay to: --to-topic, or --out")
        if self.topic is None and speed != "max":
            raise ConfigurationError(
                f"--speed {speed} applies to --to-topic only; a replay into Parquet is always as fast as it can be"
            )

    def destination(self, settings: Settings, default: str) -> Destination:
        """Return the destination; ``default`` is the name of a replay without ``name``."""
        if self.folder is not None:
            return FolderDestination(self.folder)
        return topic_destination(settings, HOME, self.topic or "", self.name or default)


@dataclass(frozen=True)
class ComparisonOptions:
    """How the predictions are compared afterwards, if that is asked for.

    ``report`` is the folder for the report's files, ``html`` a path for its page. ``against`` is the folder of another
    replay, in place of what the live job wrote.
    """

    report: Path | None = None
    html: Path | None = None
    against: Path | None = None
    labels: Path | None = None
    method: Options = _DEFAULT_METHOD

    @property
    def requested(self) -> bool:
        """Return whether a comparison is asked for."""
        return self.report is not None or self.html is not None

    def check(self) -> None:
        """Raise ``ConfigurationError`` for an unknown metric, and for options of a comparison that is not asked for."""
        names = [metric.name for metric in EVERY]
        if self.method.metric and self.method.metric not in names:
            raise ConfigurationError(f"--metric {self.method.metric} is not valid; use one of {', '.join(names)}")
        if not self.requested and self != ComparisonOptions():
            raise ConfigurationError(
                "--against, --labels, --metric and --positive belong to a comparison;"
                " say with --compare or --html where its report goes"
            )

    def check_paths(self) -> None:
        """Raise ``ConfigurationError`` for what cannot be written or read."""
        if self.report is not None:
            require_writable(self.report, "--compare")
        if self.html is not None:
            require_writable_file(self.html, "--html")
        if self.against is not None:
            replayed_files(self.against)
        if self.labels is not None:
            require_readable_file(self.labels, "--labels")


_NO_COMPARISON = ComparisonOptions()


@dataclass(frozen=True)
class ReplayOptions:
    """What the command line asks for. ``rows`` bounds a chunk; the default is the bound of the live job's batches."""

    source: SourceOptions
    versions: VersionOptions
    sink: SinkOptions
    speed: str = "max"
    rows: int | None = None
    comparison: ComparisonOptions = _NO_COMPARISON

    def check(self) -> None:
        """Raise ``ConfigurationError`` for options that contradict each other."""
        self.versions.check()
        self.comparison.check()
        self.sink.check(self.speed)
        self.pace()
        if self.comparison.requested and self.sink.folder is None:
            raise ConfigurationError("a comparison needs the predictions as Parquet; use --out in place of --to-topic")

    def check_paths(self, cache_dir: Path) -> None:
        """Raise ``ConfigurationError`` for what cannot be written or read."""
        require_log(SPARK_LOG)
        require_writable(cache_dir, "model.cache_dir")
        if self.sink.folder is not None:
            require_writable(self.sink.folder, "--out")
        self.comparison.check_paths()

    def pace(self) -> Pace | None:
        """Return the pace; ``None`` is as fast as it can be."""
        if self.speed == "max":
            return None
        try:
            speed = 1.0 if self.speed == "original" else float(self.speed)
        except ValueError:
            speed = 0.0
        if not 0 < speed < math.inf:
            raise ConfigurationError(f"--speed {self.speed!r} is not valid; use original, max, or a number such as 60")
        return Pace(speed, time.monotonic, time.sleep)
