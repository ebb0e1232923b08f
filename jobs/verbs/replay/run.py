"""``penstock replay``: score recorded events again, into a topic or into Parquet."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from jobs.terminal.progress import progress_bar
from jobs.verbs.replay.compare import Recorded, compare_with_recorded
from jobs.verbs.replay.options import HOME, SPARK_LOG, ReplayOptions
from jobs.verbs.replay.versions import segments_of
from jobs.wiring.jars import jars
from jobs.wiring.lookups import require_history, require_states
from jobs.wiring.replaying import ReplayProgress, loaded_versions
from jobs.wiring.session import session
from streaming.adapters.kafka.scan import KafkaScan
from streaming.backtest.comparison import Comparison
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.models.locks import FileLock
from streaming.replay.chunks import Chunk, Segments, Upto, apart, cut, ends, offsets_of
from streaming.replay.destinations import Destination
from streaming.replay.pace import paced
from streaming.replay.plan import ReplayPlan, settled
from streaming.replay.run import Replay
from streaming.replay.sinks import ReplayCounts
from streaming.replay.source import ReplaySource
from streaming.settings import Settings


@dataclass(frozen=True)
class ReplayResult:
    """The result of a replay."""

    summary: dict[str, Any]
    comparison: Comparison | None = None


def replay(config: Path | None, overrides: Sequence[str], options: ReplayOptions) -> ReplayResult:
    """Replay, or continue a replay that was stopped; then compare, if that is asked for.

    Raises:
        ConfigurationError: the settings or the options are wrong.
        PenstockError: the replay cannot go on without losing or doubling an event, or something does not answer.
    """
    options.check()
    settings = load_settings(config, overrides)
    require_history(settings, "replay")
    configure_logging(settings.log)
    options.check_paths(settings.model.cache_dir)
    began = time.monotonic()
    with KafkaScan(settings.kafka, settings.application) as scan:
        source = options.source.open(settings, scan)
        destination = options.sink.destination(settings, f"{source.topic}-{options.versions}")
        # Before any work: a replay into one of the job's own topics must not begin.
        destination.check(source.topic)
        job = _Job(settings, options, source, destination)
        with _alone(destination.plan_file):
            plan = settled(
                destination.plan_file, job.asked(), lambda: segments_of(options.versions, settings, source, scan)
            )
            require_states(settings, plan.segments)
            counts = job.run(plan) if any(plan.segments.values()) else ReplayCounts()
        summary = _summary(counts, plan, time.monotonic() - began)
        if not options.comparison.requested or options.sink.folder is None:
            return ReplayResult(summary)
        recorded = Recorded(settings, scan)
        return ReplayResult(
            summary, compare_with_recorded(options.comparison, options.sink.folder, source, plan.segments, recorded)
        )


@dataclass(frozen=True)
class _Job:
    settings: Settings
    options: ReplayOptions
    source: ReplaySource
    destination: Destination

    @property
    def rows(self) -> int:
        return self.options.rows or self.settings.input.max_rows_per_batch

    def asked(self) -> dict[str, str]:
        """Return what identifies the replay."""
        model, versions = self.settings.model.name, str(self.options.versions)
        asked = {"source": str(self.source), "model": model, "versions": versions, "sink": str(self.destination)}
        # A folder's chunks are recognised by their numbers, so their size must stay. A topic's may be cut differently.
        return asked if self.options.sink.folder is None else {**asked, "rows": str(self.rows)}

    def run(self, plan: ReplayPlan) -> ReplayCounts:
        # A version that has served the events needs no check against a sample of them.
        sample = None if self.options.versions.as_served else self.source
        name = f"{self.settings.application}-replay"
        started = session(self.settings, name, SPARK_LOG, lambda: jars(HOME).connector_jars())
        with started as spark, loaded_versions(self.settings, spark, sample) as versions:
            # Opening fences an earlier run that still writes to the same topic.
            sink, remaining = self.destination.open(plan, self.source.topic, system_clock)
            with progress_bar("replaying") as progress:
                report = ReplayProgress(progress, plan.segments, remaining)
                poison_rows = self.settings.engine.max_poison_rows
                loop = Replay(
                    frames=self.source.frames(spark),
                    versions=versions,
                    sink=sink,
                    poison_rows=poison_rows,
                    report=report,
                )
                return loop.run(self._chunks(remaining))

    def _chunks(self, remaining: Segments) -> Iterable[Chunk]:
        chunks = cut(remaining, self.rows, self._turns(remaining))
        # Spark may put the files of several partitions into one task, and a task writes one partition's transaction.
        several_files = self.options.source.recording is not None and self.options.sink.topic is not None
        return apart(chunks) if several_files else chunks

    def _turns(self, remaining: Segments) -> Iterable[Upto]:
        pace = self.options.pace()
        if pace is None:
            return [ends(remaining)]
        starts = {partition: parts[0].part.start for partition, parts in remaining.items() if parts}
        return paced(self.source.timeline(), starts, ends(remaining), pace)


@contextmanager
def _alone(plan_file: Path) -> Iterator[None]:
    plan_file.parent.mkdir(parents=True, exist_ok=True)
    # The lock is beside the plan and not on it: the plan is replaced by a rename.
    lock = FileLock.try_exclusive(plan_file.with_name(f".{plan_file.name}.lock"))
    if lock is None:
        raise ConfigurationError(f"this replay ({plan_file}) is running already; wait for it, or end it first")
    try:
        yield
    finally:
        lock.close()


def _summary(counts: ReplayCounts, plan: ReplayPlan, seconds: float) -> dict[str, Any]:
    return {
        "predictions": counts.predictions,
        "dead_letters": counts.dead_letters,
        "written_before": counts.earlier,
        "versions": counts.versions,
        "offsets": offsets_of(plan.segments),
        "seconds": round(seconds, 1),
    }
