"""How a server follows the lookup table, put together from the settings."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from jobs.wiring.lookups import lookup_of, require_table, table_source
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.lookup_source import KafkaTableState
from streaming.errors import BrokerUnavailableError, ConfigurationError
from streaming.lookup.followed import FollowedTopic, TableFollower
from streaming.lookup.join import TableLookup
from streaming.models.locks import FileLock
from streaming.serving.server_metrics import ServerMetrics
from streaming.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_START_SECONDS = 5.0
"""A table that takes longer to read is read on behind; until then the server says that it is not ready."""


@dataclass(frozen=True)
class ServedLookup:
    """What gives events columns, and the table that it reads."""

    lookup: TableLookup
    table: TableFollower


def require_lookup_servable(settings: Settings) -> None:
    """Raise ``ConfigurationError`` for what a server cannot do beside looking columns up."""
    if settings.lookup.redis is not None:
        raise ConfigurationError(
            "lookup.redis does not go with penstock serve, which looks columns up in a topic: set lookup.topic instead"
        )
    if settings.lookup.topic is None:
        return
    for name, is_wrong, what in (
        ("serve.spark", settings.serve.spark, "Spark looks nothing up; leave it out"),
        ("serve.rollout", settings.serve.rollout, "a rollout's candidate looks nothing up; leave it out"),
        (
            "event.key",
            settings.lookup.key is None and settings.event.key is None,
            "an event over HTTP has no Kafka key that could be looked up; name a field in lookup.key or event.key",
        ),
    ):
        if is_wrong:
            raise ConfigurationError(f"{name} does not go with lookup.topic in penstock serve: {what}")


def served_lookup(settings: Settings, metrics: ServerMetrics, stack: ExitStack) -> ServedLookup | None:
    """Return what looks columns up, whose table is followed until ``stack`` ends; ``None`` without ``lookup.topic``.

    Raises:
        ConfigurationError: the topic is not there, or not compacted, or we may not read it.
    """
    topic = settings.lookup.topic
    if topic is None:
        return None
    _check(settings)
    # A record's key is over HTTP the field that names it.
    keyed = settings.lookup.model_copy(update={"key": settings.lookup.key or settings.event.key})
    own = settings.model_copy(update={"lookup": keyed})
    lookup = lookup_of(own, _own_folder(settings.lookup.folder, stack))
    assert lookup is not None  # noqa: S101 - there is a topic
    metrics.with_lookups()
    ask = KafkaTableState(settings.kafka, topic)
    table = TableFollower(FollowedTopic(lookup.settings, ask, table_source(settings), metrics))
    stack.callback(table.stop)
    table.start(_START_SECONDS)
    return ServedLookup(replace(lookup, entries_at=table.entries), table)


def _check(settings: Settings) -> None:
    try:
        require_table(settings, KafkaAdmin(settings.kafka, settings.served_application))
    except BrokerUnavailableError as problem:
        # The table may be read later; /ready says that it is not.
        _log.warning("the lookup table's topic cannot be looked at yet", problem=str(problem))


def _own_folder(folder: Path, stack: ExitStack) -> Path:
    """Return a folder below ``folder`` that no other process has: each moves its file on by itself."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        own_folder = folder / f"serve-{number}"
        own_folder.mkdir(exist_ok=True)
        lock = FileLock.try_exclusive(own_folder / "lock")
        if lock is not None:
            stack.callback(lock.close)
            return own_folder
        number += 1
