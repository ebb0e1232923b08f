"""``penstock topics``: show the job's topics, and create missing ones on request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from jobs.verbs.topics.display import topics_table
from jobs.wiring.topics import prepare_topics
from streaming.adapters.kafka.admin import KafkaAdmin


def topics(config: Path | None, overrides: Sequence[str], input_partitions: int | None) -> None:
    """Print the topics as they are; with ``input_partitions``, create the missing ones first.

    Raises:
        ConfigurationError: the settings are wrong, or a topic may not be created.
        BrokerUnavailableError: Kafka does not answer.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    admin = KafkaAdmin(settings.kafka, settings.application)
    if input_partitions is not None:
        retention = {"retention.ms": str(settings.output.retention_ms)}
        admin.ensure_topic(settings.input.topic, input_partitions, retention, settings.output.replication_factor)
        prepare_topics(settings, admin)
    Console().print(topics_table(settings, admin))
