"""A repair from its search to its account: what was answered is found, scored again, and published as corrections."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.terminal.progress import progress_bar
from jobs.wiring.repairing import FoundRepair
from jobs.wiring.replaying import ReplayProgress, loaded_versions
from streaming.adapters.kafka.config import spark_options
from streaming.adapters.kafka.replay_destination import TopicDestination
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import system_clock
from streaming.ledger.answered import AnsweredRange
from streaming.replay.chunks import cut, ends, offsets_of
from streaming.replay.frames import KafkaFrames
from streaming.replay.repair import AnsweredFrames, Repair
from streaming.replay.run import Replay, Versions
from streaming.replay.sinks import ReplayCounts
from streaming.settings import Settings

HOME = Path(".penstock")
OpenSession = Callable[[], AbstractContextManager[SparkSession]]
FindRepair = Callable[[KafkaScan], FoundRepair]


@dataclass(frozen=True)
class Corrected:
    """``counts`` are of this run alone, and ``offsets`` are those that no earlier run had done."""

    counts: ReplayCounts = field(default_factory=ReplayCounts)
    offsets: int = 0


@dataclass(frozen=True)
class RepairResult:
    """What a repair has found, and what it has corrected of that, which with ``dry_run`` is nothing."""

    planned: FoundRepair
    corrected: Corrected
    dry_run: bool
    seconds: float

    def to_dict(self, topic: str) -> dict[str, Any]:
        """Return the result as JSON has it; ``topic`` is the input topic's name."""
        return {
            "champion": str(self.planned.repair.champion),
            "topic": topic,
            "dry_run": self.dry_run,
            "events": sum(self.planned.events.values()),
            "ranges": list(_listed(self.planned.events)),
            "removed": list(_listed(self.planned.removed)),
            "predictions": self.corrected.counts.predictions,
            "offsets": self.corrected.offsets,
            "seconds": round(self.seconds, 1),
        }


def run_repair(settings: Settings, find: FindRepair, open_session: OpenSession, *, dry_run: bool) -> RepairResult:
    """Find what is to be repaired, and publish the corrections that no earlier run has published.

    Args:
        settings: of the live job.
        find: returns what is to be repaired.
        open_session: opens a Spark session. It is called only if there is something to correct.
        dry_run: nothing is written.

    Raises:
        PenstockError: see ``find`` and :func:`correct`.
    """
    began = time.monotonic()
    with KafkaScan(settings.kafka, settings.application) as scan:
        planned = find(scan)
    corrected = Corrected()
    if planned.repair.ranges and not dry_run:
        # The champion serves this topic, or has served it, and needs no check against a sample of it.
        with open_session() as spark, loaded_versions(settings, spark, None) as versions:
            corrected = correct(planned.repair, settings, HOME, spark, versions)
    return RepairResult(planned, corrected, dry_run, time.monotonic() - began)


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
        loop = Replay(
            frames=frames,
            versions=versions,
            sink=sink,
            poison_rows=poison_rows,
            report=report,
            # An event on which the champion still throws keeps the answer that the chain has given.
            leaves_throwing=repair.kind == "fallback",
        )
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
        name=repair.name,
        kind=repair.kind,
        letters=settings.dead_letter_topic,
        corrects=True,
        lettered=repair.lettered,
    )


def _listed(ranges: dict[AnsweredRange, int] | tuple[AnsweredRange, ...]) -> Iterator[dict[str, Any]]:
    """Yield ranges as JSON has them, with the number of events where it is there."""
    for answered in ranges:
        events = {"events": ranges[answered]} if isinstance(ranges, dict) else {}
        step = answered.judged().to_dict()
        if answered.weights is None:
            del step["weight_epoch"]
        yield {**step, "role": answered.role, **events}
