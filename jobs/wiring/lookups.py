"""Looked-up columns put together: the topic or store, what joins its columns, and what each batch reads of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import structlog
from pyspark.sql import SparkSession

from jobs.wiring.lookup_redis import redis_store, require_redis
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.config import client_config
from streaming.adapters.kafka.lookup_past import require_past
from streaming.adapters.kafka.lookup_source import KafkaTableSource, KafkaTableState
from streaming.adapters.session import is_local
from streaming.clock import Period, Stopwatch, system_clock
from streaming.engines.lookups import FollowedTable, LookupPatience, LookupStates, NoLookups
from streaming.errors import ConfigurationError, DataError, LookupUnavailableError
from streaming.ledger.arms import PlannedArms
from streaming.lookup.as_of import PastLookup
from streaming.lookup.join import TableLookup
from streaming.lookup_state import REDIS
from streaming.models.served import PipelineLoader
from streaming.operations.lookup_news import LookupNews
from streaming.operations.observer import JobObserver
from streaming.replay.chunks import Segment, Segments
from streaming.scoring.looked_up import LookupLoader
from streaming.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_FIRST_READ_SECONDS = 3_600.0


def require_no_lookup(settings: Settings, verb: str) -> None:
    """Raise ``ConfigurationError`` if columns shall be looked up, which ``verb`` does not do."""
    if settings.lookup.source is not None:
        raise ConfigurationError(
            f"penstock {verb} looks no columns up, and {settings.lookup.source} is set; leave the section out where the"
            " events have all columns, or score by penstock score"
        )


def require_history(settings: Settings, verb: str) -> None:
    """Raise ``ConfigurationError`` if columns are looked up where nobody can tell what a key had in the past."""
    if settings.lookup.redis is not None:
        raise ConfigurationError(
            f"penstock {verb} needs columns as they were, and Redis (lookup.redis) keeps no history; look them up in a"
            " compacted topic (lookup.topic), or leave the section out where the data has the columns"
        )


def require_table(settings: Settings, admin: KafkaAdmin) -> None:
    """See that the table's topic, if there is to be one, is there and keeps what it must, or that Redis may be asked.

    Raises:
        ConfigurationError: it is not there, or not compacted, or we may not read it.
        BrokerUnavailableError: Kafka does not answer.
    """
    topic, redis = settings.lookup.topic, settings.lookup.redis
    if redis is not None:
        require_redis(redis)
    if topic is None:
        return
    info = admin.topic(topic)
    if info is None:
        raise ConfigurationError(
            f"there is no topic {topic!r}, from which columns are to be looked up; create it with"
            " cleanup.policy=compact, or change lookup.topic"
        )
    if not info.compacted:
        raise ConfigurationError(
            f"the lookup table's topic {topic!r} is not compacted, so keys would vanish with the topic's retention; set"
            " its cleanup.policy to compact"
        )
    admin.require_rights({topic: ("READ",)})


def lookup_of(settings: Settings, folder: Path | None = None) -> TableLookup | None:
    """Return what looks columns up; ``None`` where none are. ``folder`` is where the table is, if not as set."""
    if settings.lookup.source is None:
        return None
    # A worker's present folder is not this process's.
    own = settings.lookup.model_copy(update={"folder": (folder or settings.lookup.folder).resolve()})
    redis = settings.lookup.redis
    return TableLookup(own, settings.event, table_source(settings) if redis is None else redis_store(redis))


def table_source(settings: Settings) -> KafkaTableSource:
    """Return what reads the lookup topic."""
    return KafkaTableSource(client_config(settings.kafka), f"{settings.lookup.topic}")


def warm_table(settings: Settings, spark: SparkSession) -> None:
    """Read the table before the first batch, however long that takes, where workers run on this machine.

    Where it cannot be read, the first batch finds out, too, and the settings say what becomes of it.
    """
    lookup = lookup_of(settings)
    if lookup is None or settings.lookup.topic is None or not is_local(spark):
        return
    watch = Stopwatch()
    try:
        state = KafkaTableState(settings.kafka, settings.lookup.topic)()
        lookup.warm(state, _FIRST_READ_SECONDS)
    except LookupUnavailableError as problem:
        _log.warning("the lookup table cannot be read yet", problem=str(problem))
        return
    watch.lap("reading")
    _log.info("lookup table read", records=sum(state.ends), seconds=round(watch.phases["reading"], 3))


def looking_up(loaders: dict[str, PipelineLoader], lookup: TableLookup | None) -> dict[str, PipelineLoader]:
    """Return loaders of versions that look columns up, if any are."""
    if lookup is None:
        return loaders
    types = {name: column.type for name, column in lookup.settings.columns.items()}
    return {flavor: LookupLoader(loader, lookup, types) for flavor, loader in loaders.items()}


def lookup_states(settings: Settings, observer: JobObserver, stopping: threading.Event) -> LookupStates:
    """Return what decides the state of each batch; ``observer`` hears of the table, and of each batch's lookups."""
    lookup = settings.lookup
    if lookup.source is None:
        return NoLookups()
    news = LookupNews(observer.metrics.lookups, observer.health)
    observer.also.append(news.batch_finished)
    after, hold = timedelta(seconds=lookup.unavailable_after_seconds), lookup.unavailable == "hold"
    if lookup.redis is not None:
        patience = LookupPatience(after, hold, store=REDIS)
        return FollowedTable(redis_store(lookup.redis).state, patience, news, system_clock, stopping)
    ask = KafkaTableState(settings.kafka, f"{lookup.topic}")
    return FollowedTable(ask, LookupPatience(after, hold), news, system_clock, stopping)


def states_for(served: Segments, version: PlannedArms) -> dict[int, list[Segment]]:
    """Return the same offsets for a chosen version, each with the lookup table's state by which it was served."""
    return {
        partition: [Segment(part.part, replace(version, lookup=part.by.lookup)) for part in parts]
        for partition, parts in served.items()
    }


def require_states(settings: Settings, segments: Segments) -> None:
    """See that the lookup table can be read as it was for each segment.

    Raises:
        ConfigurationError: columns were looked up then and shall not be now, or the reverse.
        DataError: the table as it was then is gone, or was a store that keeps no history.
        LookupUnavailableError: its topic cannot be read.
    """
    states = [segment.by.lookup for parts in segments.values() for segment in parts]
    topic, stores = settings.lookup.topic, {state.store for state in states if state and state.store}
    if stores:
        raise DataError(
            f"some of the events were scored with columns from {stores.pop()}, which keeps no history, so nobody can"
            " tell what they were given; begin the replay behind them"
        )
    if topic is None and any(states):
        raise ConfigurationError("the events were scored with looked-up columns; set the section lookup as it was then")
    if topic is None:
        return
    if not all(states):
        raise ConfigurationError(
            "some of the events were scored without looked-up columns, and no state of the lookup table is known for"
            " them; begin the replay behind them, or leave the section lookup out"
        )
    oldest = min((state for state in states if state and not state.outage), key=lambda s: s.at_ms, default=None)
    if oldest is not None:
        require_past(settings.kafka, topic, oldest, round(system_clock().timestamp() * 1_000))


def past_lookup(settings: Settings) -> PastLookup | None:
    """Return what gives training rows the looked-up columns as of their times; ``None`` where none are looked up.

    Raises:
        ConfigurationError: no column is named that has the rows' key, or columns are looked up in Redis.
        DataError: compaction has removed records that rows from ``train.from_time`` on may need.
        LookupUnavailableError: the topic cannot be read.
    """
    require_history(settings, "train")
    lookup = lookup_of(settings)
    if lookup is None:
        return None
    key, topic = settings.lookup.key or settings.train.key, f"{settings.lookup.topic}"
    if key is None:
        raise ConfigurationError("columns are looked up by a key; name the data's column that has it in train.key")
    past = PastLookup(lookup, table_source(settings), KafkaTableState(settings.kafka, topic)(), key)
    since = Period.parsed(("train.from_time", "train.to_time"), settings.train.from_time, settings.train.to_time).since
    lag = timedelta(
        milliseconds=KafkaAdmin(settings.kafka, settings.application).required_topic(topic).compaction_lag_ms
    )
    # Within the lag, no record is removed because of one that was written since.
    if past.history.has_gaps and (since is None or system_clock() - since > lag):
        raise DataError(
            f"offsets are missing in the lookup table's topic {topic!r}, so what rows would have been given in the past"
            " cannot be told; set the topic's min.compaction.lag.ms to how far back training reaches, and"
            " train.from_time to within that"
        )
    return past
