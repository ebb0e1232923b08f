"""A replay's ends on Kafka put together from the settings."""

from __future__ import annotations

from pathlib import Path

from jobs.wiring.stretch import Stretch
from streaming.adapters.kafka.admin import KafkaAdmin, TopicInfo
from streaming.adapters.kafka.replay_destination import TopicDestination
from streaming.adapters.kafka.replay_source import TopicSource
from streaming.adapters.kafka.scan import KafkaScan
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
