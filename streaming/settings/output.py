"""The section ``output``: the topics that are written."""

from __future__ import annotations

from streaming.settings.base import Section, Topic


class OutputSettings(Section):
    """The topics that Penstock writes."""

    predictions: Topic = "predictions"
    dead_letters: Topic | None = None
    """``None``: the input topic's name with ``.dlq``."""
    shadow: Topic | None = None
    """Events that both versions of a rollout have answered; ``None``: the predictions topic's name with ``.shadow``."""
    served: Topic | None = None
    """Answers of ``penstock serve``, with ``serve.log``; ``None``: the predictions topic's name with ``.served``.
    Rejected events are on the topic of the same name with ``.dlq``."""
    model_events: Topic = "model-events"
    drift: Topic = "drift"
    quality: Topic = "quality"
    ledger: Topic = "penstock-ledger"
    ledger_retention_ms: int = 30 * 24 * 3600 * 1000
    """For the ledger when Penstock creates it: for so long it tells which version scored an offset."""
    progress: Topic = "penstock-progress"
    """Compacted: the newest mark of each partition, for when Kafka has forgotten the group's offsets."""
    replays: Topic = "penstock-replays"
    """Which dead letters were sent again; made by the first ``penstock dlq replay --send``."""
    create_topics: bool = True
    retention_ms: int = -1
    """For topics Penstock creates. Records keep their source's timestamp, so a recorded stream needs -1."""
    replication_factor: int = -1
    """For topics Penstock creates; -1 leaves it to the broker."""
