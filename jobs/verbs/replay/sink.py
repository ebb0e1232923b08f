"""Where a replay writes: what it makes, what it refuses to touch, and how far it has got."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from jobs.wiring.output_settings import require_dead_letters
from jobs.wiring.topics import PROGRESS_CONFIG
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.marks import MarkStore
from streaming.adapters.kafka.progress import saved_marks
from streaming.adapters.kafka.replay import ReplayMarks, next_epoch
from streaming.clock import Clock
from streaming.delivery.marks import Mark, Writer
from streaming.delivery.plan import Limits, Targets
from streaming.engines.task import WriteTarget
from streaming.errors import ConfigurationError
from streaming.failpoints import Failpoints
from streaming.replay.chunks import Segments, remaining
from streaming.replay.plan import ReplayPlan
from streaming.replay.sinks import ParquetSink, Sink, TopicSink
from streaming.settings import Settings

PLAN = "_replay.json"
"""Beside the chunks of a folder of Parquet; readers of Parquet leave it out."""
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}"


class Destination(Protocol):
    """A place to replay to."""

    def __str__(self) -> str:
        """Return what kind of place it is."""
        ...

    @property
    def plan_file(self) -> Path:
        """Where it is kept what is replayed to it."""
        ...

    def check(self, source: str, /) -> None:
        """Raise ``ConfigurationError`` if this is no place to replay the topic ``source`` to."""
        ...

    def open(self, plan: ReplayPlan, source: str, clock: Clock) -> tuple[Sink, Segments]:
        """Make what is missing; return the sink, and what is left to be written to it.

        Raises:
            ConfigurationError: something else was replayed to it.
            BrokerUnavailableError: Kafka does not answer.
        """
        ...


@dataclass(frozen=True)
class FolderDestination:
    """A folder of Parquet that is not there yet, or that an earlier run of the same replay has made."""

    folder: Path

    def __str__(self) -> str:
        """See :class:`Destination`."""
        return "Parquet"

    @property
    def plan_file(self) -> Path:
        """See :class:`Destination`."""
        return self.folder / PLAN

    def check(self, _: str, /) -> None:
        """See :class:`Destination`."""
        if self.plan_file.exists() or not self.folder.exists():
            return
        # A run that died at once leaves its lock.
        if any(not found.name.startswith(".") for found in self.folder.iterdir()):
            raise ConfigurationError(f"{self.folder} is there already and holds no replay; name another folder")

    def open(self, plan: ReplayPlan, source: str, clock: Clock) -> tuple[Sink, Segments]:
        """See :class:`Destination`; the sink knows itself which chunks it has."""
        return ParquetSink(self.folder, source, clock), plan.segments


@dataclass(frozen=True)
class TopicDestination:
    """A topic to replay into, under a name of its own beside the live job's application."""

    settings: Settings
    home: Path
    topic: str
    name: str

    def __str__(self) -> str:
        """See :class:`Destination`."""
        return f"topic {self.topic}"

    @property
    def plan_file(self) -> Path:
        """See :class:`Destination`."""
        return self.home / "replays" / f"{self.application}.json"

    @property
    def application(self) -> str:
        """Names the group of the marks and the transactional ids."""
        return f"{self.settings.application}.replay.{self.name}"

    def check(self, source: str, /) -> None:
        """Raise ``ConfigurationError`` for a topic that the live job reads or writes, and for a name that is none."""
        if not re.fullmatch(_NAME, self.name):
            raise ConfigurationError(
                f"--name {self.name!r} may have letters, digits, dots, dashes and underscores only"
            )
        settings, output = self.settings, self.settings.output
        own = {
            settings.input.topic: "the live job's input",
            output.predictions: "where the live job writes its predictions",
            settings.dead_letter_topic: "where the live job writes its dead letters",
            output.model_events: "where the live job tells of its models",
            output.ledger: "the live job's ledger",
            output.progress: "where the live job keeps its marks",
            output.replays: "where it is kept which dead letters were sent again",
            source: "what is to be replayed",
        }
        for topic in (self.topic, self.dead_letters):
            if topic in own:
                raise ConfigurationError(f"{topic} is {own[topic]}; name another topic with --to-topic")

    @property
    def dead_letters(self) -> str:
        """Where the replay's dead letters go."""
        return f"{self.topic}.dlq"

    def open(self, plan: ReplayPlan, source: str, clock: Clock) -> tuple[Sink, Segments]:
        """See :class:`Destination`; the partitions are taken over from an earlier run, which may still be alive."""
        admin = KafkaAdmin(self.settings.kafka, self.application)
        sink, targets = self._topics(admin, max(plan.segments) + 1)
        starts = {partition: parts[0].part.start for partition, parts in plan.segments.items() if parts}
        marks = admin.marks(sink.name, starts)
        saved = saved_marks(self.settings.kafka, targets.progress.topic, self.application, sink.name)
        epoch = next_epoch({**saved, **marks}, plan.identity, sink.id, self.name)
        engine, client = self.settings.engine, client_config(self.settings.kafka)
        limits = Limits(engine.transaction_max_bytes, engine.transaction_timeout_ms, targets.batch_bytes)
        writer = Writer(self.application, sink.name, sink.id, epoch)
        kept = ReplayMarks(MarkStore(client, writer, limits), targets.progress)
        kept.begin(starts, {p: _first(saved.get(p), at, writer, plan) for p, at in starts.items() if p not in marks})
        reached = {p: mark.offset for p, mark in admin.marks(sink.name, starts).items() if mark is not None}
        target = WriteTarget(client, writer, targets, limits, Failpoints(engine.failpoints))
        made = TopicSink(target, source, plan.identity, kept.pass_over, reached, clock)
        return made, remaining(plan.segments, reached)

    def _topics(self, admin: KafkaAdmin, partitions: int) -> tuple[TopicInfo, Targets]:
        kept = {"retention.ms": str(self.settings.output.retention_ms)}
        sink = self._topic(admin, self.topic, partitions, kept)
        if sink.partitions < partitions:
            raise ConfigurationError(
                f"{self.topic} has {sink.partitions} partitions and the source {partitions}, and each keeps its number;"
                " name another topic, or add partitions"
            )
        letters = self._topic(admin, self.dead_letters, partitions, {**kept, **admin.dead_letter_config(sink)})
        progress = self._topic(admin, self.settings.output.progress, partitions, PROGRESS_CONFIG)
        require_dead_letters(admin.target(letters))
        return sink, Targets(admin.target(sink), admin.target(letters), admin.target(progress))

    def _topic(self, admin: KafkaAdmin, name: str, partitions: int, config: Mapping[str, str]) -> TopicInfo:
        output = self.settings.output
        if output.create_topics:
            return admin.ensure_topic(name, partitions, config, output.replication_factor)
        found = admin.topic(name)
        if found is None:
            raise ConfigurationError(f"there is no topic {name!r} and output.create_topics is false; create it first")
        return found


def _first(saved: Mark | None, start: int, writer: Writer, plan: ReplayPlan) -> Mark:
    """Return a partition's first mark, or the one that the group has forgotten and the progress topic has not."""
    return replace(saved, epoch=writer.epoch) if saved else Mark.at(start, writer, f"{plan.identity}.")
