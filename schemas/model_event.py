"""One model event, as it stands on ``model-events``: what happened to the version that serves, and why.

The same contract for subscribers in any language: ``contracts/model_event.json``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import Enum

from streaming.redaction import redact

TYPE = "penstock.model-event.v1"


class EventType(str, Enum):
    """What happened."""

    SWAP = "swap"
    REFUSAL = "refusal"
    ROLLBACK = "rollback"
    HOLD = "hold"
    REGISTRY_DOWN = "registry_down"
    REGISTRY_UP = "registry_up"
    SELECTOR_LOST = "selector_lost"
    """The alias, stage or tag names no version any more; what serves goes on serving."""
    PAUSE = "pause"
    """Too large a share of rows became dead letters; no batch is started until somebody resumes."""
    RESUME = "resume"
    ROLLOUT_STATE = "rollout_state"
    """A rollout came to another state; ``reason`` names it, ``to_version`` is the candidate."""


class Actor(str, Enum):
    """The one who caused the event."""

    FOLLOWER = "follower"
    ENGINE = "engine"
    OPERATOR = "operator"


@dataclass(frozen=True)
class ModelEvent:
    """A record for subscribers and hooks. Times are RFC 3339 in UTC with milliseconds.

    ``from_version`` served before, ``to_version`` is the one that took over or was refused, or a rollout's candidate.
    ``reason`` is a stable code, ``detail`` a sentence for people. ``seconds`` is how long the candidate took from
    resolving to serving. ``scorer`` is what scores the version that took over, ``spark``, ``compiled``, ``native``
    or ``pyfunc``, and ``scorer_detail`` says why.
    """

    type: EventType
    application: str
    model: str
    selector: str
    actor: Actor
    at: str
    from_version: int | None = None
    to_version: int | None = None
    run_id: str | None = None
    digest: str | None = None
    reason: str | None = None
    detail: str | None = None
    seconds: float | None = None
    scorer: str | None = None
    scorer_detail: str | None = None

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Return the record's fields as JSON has them, ``detail`` without secrets."""
        detail = None if self.detail is None else redact(self.detail)
        return {**asdict(self), "type": self.type.value, "actor": self.actor.value, "detail": detail}

    def to_json(self) -> str:
        """Return the record's value."""
        return json.dumps(self.to_dict(), separators=(",", ":"))
