"""Where the latest rollout stands, for ``/v1/model``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RolloutView:
    """Set by the thread that follows rollouts, read by the HTTP server's."""

    def __init__(self) -> None:
        self._latest: Mapping[str, Any] | None = None

    def show(self, summary: Mapping[str, Any]) -> None:
        """Show this from now on."""
        self._latest = summary

    def latest(self) -> Mapping[str, Any] | None:
        """Return what was last shown; ``None`` before any rollout."""
        return self._latest
