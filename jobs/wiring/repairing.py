"""What a repair has to do, found in the ledger and on the input topic; and where its corrections go."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.terminal.progress import progress_bar
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.config import spark_options
from streaming.adapters.kafka.ledger_reader import KafkaLedgerReader
from streaming.adapters.kafka.recording import KafkaStretch
from streaming.adapters.kafka.replay_destination import TopicDestination
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.ledger.answered import AnsweredRange, Answers, answered_ranges, of_candidate, of_chain
from streaming.models.ref import ModelVersion
from streaming.replay.chunks import Chunk, cut, ends, offsets_of
from streaming.replay.frames import KafkaFrames
from streaming.replay.repair import AnsweredFrames, Remains, Repair, answered_by, remains
from streaming.replay.run import Replay, Versions
from streaming.replay.sinks import ReplayCounts
from streaming.rollout.history import Rollout
from streaming.settings import EventSettings, Settings


@dataclass(frozen=True)
class FoundRepair:
    """``events`` counts the answered events in each range, ``removed`` are ranges that retention has taken."""

    repair: Repair
    events: dict[AnsweredRange, int] = field(default_factory=dict)
    removed: tuple[AnsweredRange, ...] = ()


def find_repair(settings: Settings, scan: KafkaScan, rollout: Rollout, champion: ModelVersion) -> FoundRepair:
    """Return what has to be scored again of a rollout; raises as :func:`find_degraded`."""
    declaration = rollout.declaration
    there, removed = _answered(settings, scan, of_candidate(declaration.name, declaration.candidate))
    with progress_bar("counting its events") as progress:
        total = sum(each.offsets.end - each.offsets.start for each in there)
        events: dict[AnsweredRange, int] = {}
        for each in there:
            events[each] = _count(each, KafkaStretch(scan, settings.input.topic), settings.event)
            progress(sum(done.offsets.end - done.offsets.start for done in events), total)
    return FoundRepair(Repair(declaration.name, champion, there), events, removed)


def find_degraded(settings: Settings, scan: KafkaScan, champion: ModelVersion) -> FoundRepair:
    """Return what the fallback chain has answered; its rows are known, so that no event is read to count them.

    Raises:
        ConfigurationError: the input topic is missing, or the job has not written yet what it has planned.
        BrokerUnavailableError: Kafka does not answer.
    """
    there, removed = _answered(settings, scan, of_chain)
    events = {each: each.offsets.end - each.offsets.start for each in there}
    return FoundRepair(Repair("chain", champion, there, "fallback"), events, removed)


def _answered(settings: Settings, scan: KafkaScan, answers: Answers) -> Remains:
    info = KafkaAdmin(settings.kafka, settings.application).required_topic(settings.input.topic)
    ledger = KafkaLedgerReader(scan, settings.output.ledger, settings.application)
    with progress_bar("reading the ledger") as progress:
        answered = answered_ranges(ledger.records(progress), answers)
    # Before anything is counted: what is planned and not written yet would be answered after its correction.
    _require_written(settings, info, answered)
    firsts = {partition: scan.extent(info.name, partition)[0] for partition in range(info.partitions)}
    return remains(answered, info.id, firsts)


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
        done, total = 0, offsets_of(undone)

        def report(chunk: Chunk, _: ReplayCounts) -> None:
            nonlocal done
            done += chunk.offsets
            progress(done, total)

        poison_rows = settings.engine.max_poison_rows
        loop = Replay(
            frames=frames,
            versions=versions,
            sink=sink,
            poison_rows=poison_rows,
            report=report,
            # An event on which the champion still throws keeps the answer that the chain has given.
            leaves_throwing=repair.kind == "fallback",
        )
        return Corrected(loop.run(cut(undone, settings.input.max_rows_per_batch, [ends(undone)])), total)


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
        name=repair.name,
        kind=repair.kind,
        letters=settings.dead_letter_topic,
        corrects=True,
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
        event_id = None if record.key is not None else _event_id(record.value, envelope, each.partition, record.offset)
        of_arm[answered_by(each, record.key, event_id)] += 1
    return of_arm[True]


def _event_id(value: bytes | None, envelope: EventSettings, partition: int, offset: int) -> str | None:
    if envelope.id is None:
        return f"{partition}-{offset}"
    try:
        event_id = json.loads(value or b"")[envelope.id]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return event_id if isinstance(event_id, str) else None


def listed(ranges: dict[AnsweredRange, int] | tuple[AnsweredRange, ...]) -> Iterator[dict[str, Any]]:
    """Yield ranges as JSON has them, with the number of events where it is there."""
    for each in ranges:
        events = {"events": ranges[each]} if isinstance(ranges, dict) else {}
        yield {
            "partition": each.partition,
            "start": each.offsets.start,
            "end": each.offsets.end,
            "role": each.role,
            **({"weight_epoch": each.weight_epoch} if each.weights else {}),
            **events,
        }
