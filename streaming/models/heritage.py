"""What earlier drivers of an application found out about versions, read from their model events at a takeover."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.model_event import EventType
from streaming.models.ref import ModelKey


@dataclass(frozen=True)
class Heritage:
    """The versions that are on hold, and the one that served last; ``None`` if no driver has served any."""

    held: frozenset[ModelKey] = frozenset()
    served: ModelKey | None = None

    @classmethod
    def of(cls, events: Iterable[Mapping[str, Any]], application: str, selector: str) -> Heritage:
        """Return what the events say, oldest first. A hold belongs to a selector: pinning a version overrules it."""
        return cls.of_models(events, application, lambda _: selector)

    @classmethod
    def of_models(
        cls, events: Iterable[Mapping[str, Any]], application: str, selector: Callable[[str], str]
    ) -> Heritage:
        """Do the same of many models, ``selector`` giving that of each by its name; ``served`` is the last of any."""
        held: set[ModelKey] = set()
        served = None
        for event in events:
            if event.get("application") != application or event.get("selector") != selector(event.get("model", "")):
                continue
            kind, model = event["type"], event["model"]
            if kind == EventType.HOLD:
                held.add(ModelKey(model, event["to_version"]))
            elif kind == EventType.ROLLBACK:
                held.add(ModelKey(model, event["from_version"]))
            if kind in (EventType.SWAP, EventType.ROLLBACK):
                served = ModelKey(model, event["to_version"])
        return cls(frozenset(held), served)
