"""Announcements about the serving version, to the log, the metrics and the sinks of model events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from schemas.model_event import Actor, EventType, ModelEvent
from streaming.clock import Clock, isoformat
from streaming.models.candidate import Promoted, Versioned
from streaming.models.ref import ModelKey, ModelSelector
from streaming.models.refusals import Refused
from streaming.models.served import ServedModel
from streaming.refusal_codes import RefusalCode
from streaming.sinks import deliver

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class ModelEventSink(Protocol):
    """Takes model events: the ``model-events`` topic, a Python hook, a webhook."""

    def send(self, event: ModelEvent) -> None:
        """Take one event. What it raises is logged and stops nothing."""
        ...


class ModelMetrics(Protocol):
    """The numbers about the serving version; ``operations/metrics.py`` implements it."""

    def model_swapped(self, model: ServedModel, seconds: float) -> None:
        """``model`` serves; it took ``seconds`` from resolving to serving."""
        ...

    def model_refused(self, reason: str) -> None:
        """A candidate was refused, and it is news."""
        ...

    def model_rolled_back(self, model: ServedModel) -> None:
        """``model``, the last good version, serves again."""
        ...

    def registry_answered(self, *, up: bool) -> None:
        """A poll ended; ``up`` says whether the registry answered."""
        ...

    def selector_resolved(self, *, resolved: bool) -> None:
        """The registry answered; ``resolved`` says whether the selector names a version."""
        ...


@dataclass(frozen=True)
class Announcer:
    """Announces to log, metrics and sinks; one for each application."""

    application: str
    selector: ModelSelector
    clock: Clock
    metrics: ModelMetrics
    sinks: Sequence[ModelEventSink] = ()

    def promoted(self, outcome: Promoted, reason: str | None = None, detail: str | None = None) -> None:
        """A version took over; ``reason`` says why, where it is not the one that the selector names now."""
        self.metrics.model_swapped(outcome.model, outcome.seconds)
        event = _about(self._blank(EventType.SWAP), outcome.model)
        seconds = round(outcome.seconds, 3)
        self._send(
            replace(event, from_version=_number(outcome.replaced), reason=reason, detail=detail, seconds=seconds)
        )

    def refused(self, outcome: Refused, serving: Versioned | None) -> None:
        """A candidate may not serve; only news is announced."""
        if not outcome.news:
            return
        self.metrics.model_refused(outcome.reason.name)
        event = replace(self._blank(EventType.REFUSAL), from_version=_number(serving), reason=outcome.reason.name)
        version = outcome.version
        self._send(replace(event, to_version=version.version, run_id=version.run_id or None, detail=outcome.detail))

    def rolled_back(self, failed: ModelKey, good: ServedModel, detail: str) -> None:
        """The last good version took over from one that failed in batches, which is on hold from now."""
        self.metrics.model_rolled_back(good)
        event = _about(self._blank(EventType.ROLLBACK, Actor.ENGINE), good)
        self._send(replace(event, from_version=failed.version, reason="BATCH_FAILED", detail=detail))

    def held(self, key: ModelKey, serving: Versioned | None, detail: str) -> None:
        """An operator put a version on hold."""
        event = replace(self._blank(EventType.HOLD, Actor.OPERATOR), from_version=_number(serving))
        self._send(replace(event, to_version=key.version, reason=RefusalCode.HELD.name, detail=detail))

    def registry_down(self, serving: Versioned | None, detail: str) -> None:
        """The registry stopped answering."""
        event = replace(self._blank(EventType.REGISTRY_DOWN), from_version=_number(serving))
        self._send(replace(event, reason="REGISTRY_UNAVAILABLE", detail=detail))

    def registry_up(self, serving: Versioned | None) -> None:
        """The registry answers again."""
        self._send(replace(self._blank(EventType.REGISTRY_UP), from_version=_number(serving)))

    def selector_lost(self, serving: Versioned | None, detail: str) -> None:
        """The selector names no version any more."""
        event = replace(self._blank(EventType.SELECTOR_LOST), from_version=_number(serving))
        self._send(replace(event, reason="MODEL_NOT_FOUND", detail=detail))

    def paused(self, serving: Versioned | None, detail: str) -> None:
        """The circuit breaker holds the job."""
        event = replace(self._blank(EventType.PAUSE, Actor.ENGINE), from_version=_number(serving))
        self._send(replace(event, reason="TOO_MANY_DEAD_LETTERS", detail=detail))

    def resumed(self, serving: Versioned | None) -> None:
        """An operator let the job go on."""
        self._send(replace(self._blank(EventType.RESUME, Actor.OPERATOR), from_version=_number(serving)))

    def rollout_moved(self, candidate: ModelKey, phase: str, why: str, serving: Versioned | None) -> None:
        """A rollout came to another state."""
        event = replace(self._blank(EventType.ROLLOUT_STATE, Actor.ENGINE), from_version=_number(serving))
        reason = phase.upper().replace(" ", "_")
        self._send(replace(event, to_version=candidate.version, reason=reason, detail=why))

    def _blank(self, kind: EventType, actor: Actor = Actor.FOLLOWER) -> ModelEvent:
        at = isoformat(self.clock())
        return ModelEvent(
            type=kind,
            application=self.application,
            model=self.selector.name,
            selector=str(self.selector),
            actor=actor,
            at=at,
        )

    def _send(self, event: ModelEvent) -> None:
        level = _log.info if event.type in _GOOD_NEWS else _log.warning
        details = {
            name: value for name, value in event.to_dict().items() if name not in ("type", "at") and value is not None
        }
        level(f"model {event.type.value}", **details)
        deliver(event, self.sinks)


_GOOD_NEWS = (EventType.SWAP, EventType.REGISTRY_UP, EventType.RESUME, EventType.ROLLOUT_STATE)


def _about(event: ModelEvent, model: ServedModel) -> ModelEvent:
    version = model.version
    return replace(
        event,
        to_version=version.version,
        run_id=version.run_id or None,
        digest=model.package.digest,
        scorer=model.choice.kind,
        scorer_detail=model.choice.why,
    )


def _number(model: Versioned | None) -> int | None:
    return model.version.version if model else None
