"""A replay's ends on Kafka, and its versions, put together from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.sql import SparkSession

from jobs.wiring.following import preparation, registry, scorer_setting
from jobs.wiring.lookups import lookup_of
from jobs.wiring.stretch import Stretch
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.replay_destination import TopicDestination
from streaming.adapters.kafka.replay_source import TopicSource
from streaming.adapters.kafka.scan import KafkaScan
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.models.topic_schema import EventSample, NoEvents
from streaming.offsets import Progress
from streaming.replay.chunks import Chunk, Segments, offsets_of
from streaming.replay.run import Versions
from streaming.replay.sinks import ReplayCounts
from streaming.settings import Settings


def topic_source(settings: Settings, scan: KafkaScan, info: TopicInfo, stretch: Stretch) -> TopicSource:
    """Return a part of a topic as what is replayed."""
    return TopicSource(
        kafka=settings.kafka,
        admin=KafkaAdmin(settings.kafka, settings.application),
        scan=scan,
        info=info,
        part=str(stretch),
        find_ranges=lambda: stretch.ranges(settings, scan, info),
    )


def topic_destination(settings: Settings, home: Path, topic: str, name: str) -> TopicDestination:
    """Return a topic as where a replay of this name goes; ``home`` is where what was decided is kept."""
    return TopicDestination(
        kafka=settings.kafka,
        live=settings.application,
        taken=_taken(settings),
        output=settings.output,
        engine=settings.engine,
        home=home,
        topic=topic,
        name=name,
    )


def _taken(settings: Settings) -> dict[str, str]:
    """Return the live job's topics, each with what it is to the job."""
    output = settings.output
    return {
        settings.input.topic: "the live job's input",
        output.predictions: "where the live job writes its predictions",
        settings.dead_letter_topic: "where the live job writes its dead letters",
        output.model_events: "where the live job tells of its models",
        output.ledger: "the live job's ledger",
        output.progress: "where the live job keeps its marks",
        output.replays: "where it is kept which dead letters were sent again",
    }


@contextmanager
def loaded_versions(settings: Settings, spark: SparkSession, sample: EventSample | None) -> Iterator[Versions]:
    """Yield a loader of versions. Each one passes every check that a version passes before it serves.

    Args:
        settings: say how events are read and where the registry is. The live job's cache of versions is left alone.
        spark: loads them.
        sample: events that a version must fit; ``None`` for versions that have served them.
    """
    cache = settings.model.cache_dir
    # The live job evicts from its cache by what it serves, and would evict the replay's versions.
    own = settings.model.model_copy(update={"cache_dir": cache.with_name(f"{cache.name}-replay")})
    own_registry = registry(own)
    # The live job's table is at another state, and would be read anew for each of the two.
    with TemporaryDirectory(prefix="penstock-lookup-") as folder:
        prepared = preparation(
            settings.model_copy(update={"model": own}),
            spark,
            sample or NoEvents(),
            scorer_setting(settings),
            lookup_of(settings, Path(folder)),
        )

        def load(version: ModelVersion) -> ServedModel:
            return prepared.prepare(own_registry.get(version.name, version.version), own_registry.download)

        versions = Versions(load, prepared.release)
        try:
            yield versions
        finally:
            versions.close()


class ReplayProgress:
    """Tells after each chunk how many offsets of all that is planned are done, those of earlier runs included."""

    def __init__(self, progress: Progress, planned: Segments, undone: Segments) -> None:
        self._progress = progress
        self._total = offsets_of(planned)
        self._done = self._total - offsets_of(undone)

    def __call__(self, chunk: Chunk, _: ReplayCounts) -> None:
        """Count a chunk."""
        self._done += chunk.offsets
        self._progress(self._done, self._total)
