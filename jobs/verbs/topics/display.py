"""How ``penstock topics`` shows the job's topics."""

from __future__ import annotations

from rich.table import Table

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.settings import Settings


def topics_table(settings: Settings, admin: KafkaAdmin) -> Table:
    """Return a row for each topic, with its partitions; raises ``BrokerUnavailableError``."""
    table = Table("topic", "for", "partitions", box=None)
    for name, purpose in (
        (settings.input.topic, "events"),
        (settings.output.predictions, "predictions"),
        (settings.dead_letter_topic, "dead letters"),
        (settings.output.model_events, "model events"),
        (settings.output.ledger, "the ledger"),
        (settings.output.progress, "progress"),
    ):
        topic = admin.topic(name)
        table.add_row(name, purpose, str(topic.partitions) if topic else "missing")
    return table
