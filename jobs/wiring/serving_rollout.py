"""How a server follows a rollout, put together from the settings."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta

from streaming.adapters.kafka.ledger_tail import LedgerTail
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.models.rollout_versions import CheckedVersions
from streaming.models.slot import Slot
from streaming.serving.rollout_arms import RolloutArms, RolloutSource
from streaming.settings import Settings

TWO_DAYS = timedelta(days=2)
"""A job has an unfinished rollout written again each day, so its last two days tell of it."""
_START_SECONDS = 20.0
"""For one look at the ledger, and the candidate; without a broker the server begins with the champion alone."""


def require_identity(settings: Settings) -> None:
    """Raise ``ConfigurationError`` if a rollout is to be followed and no event says whose it is."""
    if settings.serve.rollout and settings.event.key is None and settings.event.id is None:
        raise ConfigurationError(
            "serve.rollout needs event.key or event.id: an event over HTTP has no Kafka key, and without an id of its"
            " own it would be of another arm each time. Set one of them, or serve.rollout: false"
        )


def rollout_arms(settings: Settings, slot: Slot, versions: CheckedVersions, stack: ExitStack) -> RolloutArms | None:
    """Return what follows the application's rollouts until ``stack`` ends; ``None`` without ``serve.rollout``."""
    if not settings.serve.rollout:
        return None
    records = LedgerTail(settings.kafka, settings.output.ledger, settings.application, system_clock() - TWO_DAYS)
    stack.callback(records.close)
    source = RolloutSource(
        application=settings.application,
        model=settings.model.name,
        slot=slot,
        records=records,
        load=versions.load,
        release=versions.release,
    )
    arms = RolloutArms(source)
    stack.callback(arms.stop)
    arms.start(_START_SECONDS)
    return arms
