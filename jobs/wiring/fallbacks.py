"""The fallback chain put together: what answers when the champion cannot."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import structlog

from jobs.wiring.starting import EngineParts, Footing
from streaming.clock import system_clock
from streaming.engines.chain import FallbackChain, NoChain
from streaming.engines.links import LoadedLinks
from streaming.errors import ModelError, RegistryUnavailableError
from streaming.models.circuits import CircuitPolicy, Circuits
from streaming.models.follower import Follower
from streaming.models.many_follower import ManyFollower
from streaming.models.ref import ModelKey
from streaming.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def fallback_chain(on: Footing, parts: EngineParts, stack: ExitStack) -> NoChain:
    """Return the chain that the settings name, whose versions are released when ``stack`` ends."""
    chosen, model = on.settings.fallback, on.settings.model.name
    if not chosen.enabled:
        return NoChain()
    pinned = pinned_version(on.settings)
    score = chosen.default.model_dump(mode="json") if chosen.default else None
    links = LoadedLinks(parts.slot, parts.fallback, pinned, model, score)
    stack.callback(links.close)
    policy = CircuitPolicy(chosen.open_after, chosen.pause_seconds, chosen.batch_seconds)
    return FallbackChain(model, links, Circuits(policy, system_clock, on.observer))


def pinned_version(settings: Settings) -> ModelKey | None:
    """Return the fallback version that the settings name; ``None`` where it is the one that served before."""
    version = settings.fallback.version
    return None if version is None else ModelKey(version.model or settings.model.name, version.version)


def load_champion(settings: Settings, follower: Follower | ManyFollower, stopping: threading.Event) -> None:
    """Wait for the champion, or begin without it where the fallback chain can answer.

    Raises:
        ModelError: there is no champion, and nothing to answer in its place.
        RegistryUnavailableError: likewise, because the registry does not answer.
    """
    try:
        follower.load_first(stopping)
    except (ModelError, RegistryUnavailableError) as problem:
        if not _has_something_to_answer(settings, follower):
            raise
        _log.error("the job begins without its champion; the fallback chain answers", problem=str(problem))


def _has_something_to_answer(settings: Settings, follower: Follower | ManyFollower) -> bool:
    # A job with many models has no chain.
    if not settings.fallback.enabled or isinstance(follower, ManyFollower):
        return False
    if settings.fallback.default is not None:
        return True
    pinned = pinned_version(settings)
    if pinned is None:
        return False  # what served before was looked for already, and would serve as the champion
    try:
        follower.release(follower.recall(pinned))
    except (ModelError, RegistryUnavailableError) as problem:
        _log.error("the fallback version cannot be loaded", version=str(pinned), problem=str(problem))
        return False
    return True
