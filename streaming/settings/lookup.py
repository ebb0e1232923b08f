"""The section ``lookup``: columns that events are given from a table, a compacted topic or Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from streaming.settings.base import Positive, Seconds, Section, Topic
from streaming.settings.lookup_redis import RedisSettings

_FITTING: dict[str, tuple[type, ...]] = {
    "double": (int, float),
    "float": (int, float),
    "long": (int,),
    "integer": (int,),
    "boolean": (bool,),
    "string": (str,),
}


class LookupColumn(Section):
    """A column of the model's signature that the table has."""

    type: Literal["double", "float", "long", "integer", "boolean", "string"]
    default: Annotated[bool | int | float | str | None, Field(union_mode="smart")] = None
    """Its value where the table has none."""

    @model_validator(mode="after")
    def _default_fits(self) -> LookupColumn:
        is_number = self.type not in ("boolean", "string")
        # Python counts True as a number.
        fits = isinstance(self.default, _FITTING[self.type]) and not (is_number and isinstance(self.default, bool))
        if self.default is not None and not fits:
            raise ValueError(f"the default {self.default!r} is no {self.type}")
        return self


class LookupSettings(Section):
    """A table by whose records events are enriched before they are scored; none without ``topic`` or ``redis``."""

    topic: Topic | None = None
    """A compacted topic: the record's key is the table's key, its value a JSON object; a tombstone deletes."""
    redis: RedisSettings | None = None
    """A store in the place of a topic."""
    key: str | None = None
    """The field of the event that is looked up, a text; ``None``: the event's own record key."""
    columns: dict[str, LookupColumn] = Field(default_factory=dict)
    time_to_live_seconds: Seconds | None = None
    """An older record is stale; ``None``: none is."""
    stale: Literal["mark", "default", "dead_letter"] = "mark"
    """What an event with a stale record gets: the record's values, the defaults, or ``STALE_LOOKUP``."""
    missing: Literal["default", "dead_letter"] = "default"
    """What an event gets whose key is not in the table: the defaults, or ``MISSING_LOOKUP``."""
    unavailable: Literal["default", "dead_letter", "hold"] = "default"
    """While the table cannot be read: the defaults, ``LOOKUP_UNAVAILABLE``, or no batch, and 503 to requests."""
    unavailable_after_seconds: Seconds = 30.0
    """For so long, batches and requests go on with the table as last read; with Redis, batches wait for it."""
    catch_up_seconds: Seconds = 60.0
    """The longest that a task waits until its worker has read the table as far as the batch's plan says.

    A server has trouble with the table if it reads no record of it for so long."""
    folder: Path = Path(".penstock/lookup")
    """Where each machine keeps the table, on its own disk."""
    max_bytes: Positive = 4 * 1024**3
    """The largest file of a table; one that would be larger counts as unavailable."""
    cache_keys: Positive = 200_000
    """Keys whose values a worker, or a thread of a server, keeps in memory; those used least recently go first."""

    @model_validator(mode="after")
    def _has_columns(self) -> LookupSettings:
        if self.topic is not None and self.redis is not None:
            raise ValueError(
                "lookup.topic and lookup.redis are both set, and columns come from one of them; drop the other"
            )
        has_source = self.topic is not None or self.redis is not None
        if has_source != bool(self.columns):
            raise ValueError("lookup.topic (or lookup.redis) and lookup.columns go together; set both or neither")
        return self

    @property
    def source(self) -> str | None:
        """The setting by which columns are looked up, as messages name it; ``None`` where none are."""
        if self.redis is not None:
            return "lookup.redis"
        return None if self.topic is None else "lookup.topic"

    @property
    def can_reject(self) -> bool:
        """True if a lookup may make an event a dead letter."""
        return "dead_letter" in (self.stale, self.missing, self.unavailable)
