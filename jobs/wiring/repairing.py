"""What a repair of a rollout has to do, found in the ledger and on the input topic; and where its corrections go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.terminal.progress import progress_bar
from jobs.wiring.replaying import ReplayProgress
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.config import spark_options
from streaming.adapters.kafka.dead_letters import KafkaDeadLetters
from streaming.adapters.kafka.recording import KafkaStretch
from streaming.adapters.kafka.replay_destination import TopicDestination
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.events.identity import event_id_of
from streaming.ledger.answered import AnsweredRange
from streaming.ledger.rollout_story import RolloutStory
from streaming.models.ref import ModelVersion
from streaming.offsets import Offsets
from streaming.outputs.dead_letters import Selection
from streaming.replay.chunks import cut, ends, offsets_of
from streaming.replay.frames import KafkaFrames
from streaming.replay.repair import AnsweredFrames, Repair, answered_by, lettered_offsets, remains
from streaming.replay.run import Replay, Versions
from streaming.replay.sinks import ReplayCounts
from streaming.settings import EventSettings, Settings


@dataclass(frozen=True)
class FoundRepair:
    """``events`` counts the events of the candidate in each range, ``removed`` are ranges that retention has taken."""

    repair: Repair
    events: dict[AnsweredRange, int] = field(default_factory=dict)
    removed: tuple[AnsweredRange, ...] = ()


def find_repair(settings: Settings, scan: KafkaScan, story: RolloutStory, champion: ModelVersion) -> FoundRepair:
    """Return what has to be scored again of what a rollout's candidate has answered.

    Raises:
        ConfigurationError: the input topic is missing, the job has not written yet what it has planned, or the live
            engine has answered.
        BrokerUnavailableError: Kafka does not answer.
    """
    info = KafkaAdmin(settings.kafka, settings.application).required_topic(settings.input.topic)
    if story.answered_live:
        raise ConfigurationError(
            f"the live engine has answered in the rollout {story.declaration.name}: around each handover both versions"
            " did, and the ledger does not tell for which events, so that they cannot be corrected one by one. Score"
            " the offsets of `penstock rollout status` again by `penstock replay`, to a topic of their own"
        )
    answered = story.answered
    # Before anything is counted: what is planned and not written yet would be answered after its correction.
    _require_written(settings, info, answered)
    firsts = {partition: scan.extent(info.name, partition)[0] for partition in range(info.partitions)}
    there, removed = remains(answered, info.id, firsts)
    with progress_bar("counting its events") as progress:
        total = sum(each.offsets.end - each.offsets.start for each in there)
        events: dict[AnsweredRange, int] = {}
        for each in there:
            events[each] = _count(each, KafkaStretch(scan, info.name), settings.event)
            progress(sum(done.offsets.end - done.offsets.start for done in events), total)
    lettered = _lettered(settings, story, there)
    return FoundRepair(Repair(story.declaration.name, champion, there, lettered), events, removed)


def _lettered(settings: Settings, story: RolloutStory, there: tuple[AnsweredRange, ...]) -> Offsets:
    """Return which events of the ranges the candidate has made dead letters of."""
    topic = KafkaAdmin(settings.kafka, settings.application).topic(settings.dead_letter_topic)
    # A letter does not say of which topic with the input's name it is. A second letter is better than none at all.
    if topic is None or len({each.topic_id for each in story.answered}) > 1:
        return {}
    letters = KafkaDeadLetters(settings.kafka, settings.application, topic).read(Selection())
    return lettered_offsets(letters, story.declaration, there)


@dataclass(frozen=True)
class Corrected:
    """``counts`` are of this run alone, and ``offsets`` are those that no earlier run had done."""

    counts: ReplayCounts = field(default_factory=ReplayCounts)
    offsets: int = 0


def correct(repair: Repair, settings: Settings, home: Path, spark: SparkSession, versions: Versions) -> Corrected:
    """Publish the corrections that no earlier run has published.

    Raises:
        PenstockError: the champion cannot score the events, another run has taken over, or Kafka does not answer.
    """
    # Opening fences an earlier run that still writes.
    sink, undone = _destination(repair, settings, home).open(repair.plan, settings.input.topic, system_clock)
    topic = KafkaFrames(spark, spark_options(settings.kafka), settings.input.topic)
    frames = AnsweredFrames(topic, repair.ranges, versions.get([repair.champion])[0].decoder)
    with progress_bar("correcting") as progress:
        report, poison_rows = ReplayProgress(progress, repair.plan.segments, undone), settings.engine.max_poison_rows
        loop = Replay(frames=frames, versions=versions, sink=sink, poison_rows=poison_rows, report=report)
        counts = loop.run(cut(undone, settings.input.max_rows_per_batch, [ends(undone)]))
        return Corrected(counts, offsets_of(undone))


def _destination(repair: Repair, settings: Settings, home: Path) -> TopicDestination:
    """Return the live job's own topics as where corrections go."""
    return TopicDestination(
        kafka=settings.kafka,
        live=settings.application,
        taken={},
        output=settings.output,
        engine=settings.engine,
        home=home,
        topic=settings.output.predictions,
        name=repair.rollout,
        kind="repair",
        letters=settings.dead_letter_topic,
        corrects=True,
        lettered=repair.lettered,
    )


def _require_written(settings: Settings, info: TopicInfo, answered: tuple[AnsweredRange, ...]) -> None:
    """Refuse while a batch of the candidate's is planned and not written: its answers would come after corrections."""
    ends = {each.partition: each.offsets.end for each in answered if each.topic_id == info.id}
    marks = KafkaAdmin(settings.kafka, settings.application).marks(info.name, ends)
    for partition, mark in marks.items():
        if mark is not None and mark.offset < ends[partition]:
            raise ConfigurationError(
                f"partition {partition} of {info.name} is planned up to {ends[partition]} and written up to"
                f" {mark.offset}; let the job write what it has planned, then repair again"
            )


def _count(each: AnsweredRange, stretch: KafkaStretch, envelope: EventSettings) -> int:
    of_arm: Counter[bool] = Counter()
    for record in stretch.records(each.partition, each.offsets):
        event_id = None
        # A key decides by itself, and most events have one.
        if record.key is None:
            event_id = event_id_of(record.value, envelope.id, each.partition, record.offset)
        of_arm[answered_by(each, record.key, event_id)] += 1
    return of_arm[True]


def listed(ranges: dict[AnsweredRange, int] | tuple[AnsweredRange, ...]) -> Iterator[dict[str, Any]]:
    """Yield ranges as JSON has them, with the number of events where it is there."""
    for each in ranges:
        events = {"events": ranges[each]} if isinstance(ranges, dict) else {}
        yield {**each.judged().to_dict(), "role": each.role, **events}
