"""A topic that a replay writes to: what it makes, what it refuses to touch, and how far it has got."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.marks import MarkStore
from streaming.adapters.kafka.output_topics import PROGRESS_CONFIG, output_topic, require_dead_letters
from streaming.adapters.kafka.progress import saved_marks
from streaming.adapters.kafka.replay import ReplayMarks, next_epoch
from streaming.clock import Clock
from streaming.delivery.marks import Mark, Writer
from streaming.delivery.write_order import Limits
from streaming.engines.task import WriteTarget
from streaming.errors import ConfigurationError
from streaming.failpoints import Failpoints
from streaming.offsets import Offsets
from streaming.outputs.targets import Targets
from streaming.replay.chunks import Segments, remaining
from streaming.replay.plan import ReplayPlan
from streaming.replay.sinks import ReplaySink, TopicSink
from streaming.settings import EngineSettings, OutputSettings

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}"


@dataclass(frozen=True)
class TopicDestination:
    """A topic to replay into, under another name than the live job's application ``live``.

    ``taken`` is topic to what it is of the live job's. What was decided is kept below ``home``. ``kind`` tells replays
    from repairs, which write to the live job's own topics (``letters`` are its dead letters) and with
    ``corrects`` replace answers. The events at ``lettered`` offsets are dead letters already, and get no second one.
    """

    kafka: Mapping[str, str] = field(repr=False)
    live: str
    taken: Mapping[str, str]
    output: OutputSettings
    engine: EngineSettings
    home: Path
    topic: str
    name: str
    kind: str = "replay"
    letters: str = ""
    corrects: bool = False
    lettered: Offsets = field(default_factory=dict)

    def __str__(self) -> str:
        """See :class:`streaming.replay.destinations.Destination`."""
        return f"topic {self.topic}"

    @property
    def plan_file(self) -> Path:
        """See :class:`streaming.replay.destinations.Destination`."""
        return self.home / "replays" / f"{self.application}.json"

    @property
    def application(self) -> str:
        """Names the group of the marks and the transactional ids."""
        return f"{self.live}.{self.kind}.{self.name}"

    def check(self, source: str, /) -> None:
        """Raise ``ConfigurationError`` for a topic that the live job reads or writes, and for an invalid name."""
        if not re.fullmatch(_NAME, self.name):
            raise ConfigurationError(
                f"--name {self.name!r} may have letters, digits, dots, dashes and underscores only"
            )
        own = {**self.taken, source: "what is to be replayed"}
        for topic in (self.topic, self.dead_letters):
            if topic in own:
                raise ConfigurationError(f"{topic} is {own[topic]}; name another topic with --to-topic")

    @property
    def dead_letters(self) -> str:
        """The topic of the replay's dead letters."""
        return self.letters or f"{self.topic}.dlq"

    def open(self, plan: ReplayPlan, source: str, clock: Clock) -> tuple[ReplaySink, Segments]:
        """See :class:`streaming.replay.destinations.Destination`.

        The partitions are taken over from an earlier run, which may still be alive.
        """
        admin = KafkaAdmin(self.kafka, self.application)
        # Each event keeps the number of its partition, so the topic needs as many as the source.
        sink, targets = self._topics(admin, max(plan.segments) + 1)
        starts = {partition: parts[0].part.start for partition, parts in plan.segments.items() if parts}
        marks = admin.marks(sink.name, starts)
        saved = saved_marks(self.kafka, targets.progress.topic, self.application, sink.name)
        epoch = next_epoch({**saved, **marks}, plan.identity, sink.id, self.name)
        engine, client = self.engine, client_config(self.kafka)
        limits = Limits(engine.transaction_max_bytes, engine.transaction_timeout_ms, targets.batch_bytes)
        writer = Writer(self.application, sink.name, sink.id, epoch)
        replay_marks = ReplayMarks(MarkStore(client, writer, limits), targets.progress)
        replay_marks.begin(
            starts, {p: _first(saved.get(p), at, writer, plan) for p, at in starts.items() if p not in marks}
        )
        reached = {p: mark.offset for p, mark in admin.marks(sink.name, starts).items() if mark is not None}
        target = WriteTarget(
            client=client, writer=writer, targets=targets, limits=limits, failpoints=Failpoints(engine.failpoints)
        )
        made = TopicSink(
            target=target,
            source_topic=source,
            identity=plan.identity,
            pass_over=replay_marks.pass_over,
            reached=reached,
            clock=clock,
            corrects=self.corrects,
            lettered=self.lettered,
        )
        return made, remaining(plan.segments, reached)

    def _topics(self, admin: KafkaAdmin, partitions: int) -> tuple[TopicInfo, Targets]:
        retention = {"retention.ms": str(self.output.retention_ms)}
        sink = output_topic(self.output, admin, self.topic, partitions, retention)
        if sink.partitions < partitions:
            raise ConfigurationError(
                f"{self.topic} has {sink.partitions} partitions and the source {partitions}, and each keeps its number;"
                " name another topic, or add partitions"
            )
        config = {**retention, **admin.dead_letter_config(sink)}
        letters = output_topic(self.output, admin, self.dead_letters, partitions, config)
        progress = output_topic(self.output, admin, self.output.progress, partitions, PROGRESS_CONFIG)
        require_dead_letters(admin.target(letters))
        return sink, Targets(admin.target(sink), admin.target(letters), admin.target(progress))


def _first(saved: Mark | None, start: int, writer: Writer, plan: ReplayPlan) -> Mark:
    """Return a partition's first mark, or the one that the group has forgotten and the progress topic has not."""
    return replace(saved, epoch=writer.epoch) if saved else Mark.at(start, writer, f"{plan.identity}.")
