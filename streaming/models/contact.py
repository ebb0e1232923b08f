"""Whether the registry answers a follower: said once when it stops, once when it answers again, and in the metrics."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from streaming.errors import ConfigurationError, RegistryUnavailableError
from streaming.models.announcer import Announcer
from streaming.models.candidate import Versioned
from streaming.models.ref import ModelKey
from streaming.models.registry import VersionSource

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class RegistryContact:
    """Counts the polls that a registry has left unanswered; ``serving`` says what serves meanwhile."""

    def __init__(self, announcer: Announcer, serving: Callable[[], Versioned | None]) -> None:
        self._announcer = announcer
        self._serving = serving
        self._silent_polls = 0

    def answered(self) -> None:
        """Note an answer."""
        if self._silent_polls:
            self._announcer.registry_up(self._serving())
        self._silent_polls = 0
        self._announcer.metrics.registry_answered(up=True)

    def unanswered(self, problem: RegistryUnavailableError | ConfigurationError) -> None:
        """Note that the registry gave no answer, or refused this client."""
        self._silent_polls += 1
        self._announcer.metrics.registry_answered(up=False)
        if self._silent_polls == 1:
            self._announcer.registry_down(self._serving(), str(problem))
        elif self._silent_polls.bit_count() == 1:  # the 2nd, 4th, 8th ...: less and less often
            _log.warning("registry still does not answer", polls=self._silent_polls, problem=str(problem))


def existence_doubt(registry: VersionSource, key: ModelKey) -> str:
    """Return why it is not known whether there is such a version; a hold must be possible while the registry is down.

    Raises:
        ModelNotFoundError: the registry has no such version.
    """
    try:
        registry.get(key.name, key.version)
    except RegistryUnavailableError:
        return "the registry does not answer, so it is not known whether there is such a version"
    return ""
