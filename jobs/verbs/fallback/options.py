"""The options of ``penstock fallback``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FallbackRepairOptions:
    """``version`` scores the events, by default the one that the registry names; ``dry_run`` writes nothing."""

    version: int | None = None
    dry_run: bool = False
