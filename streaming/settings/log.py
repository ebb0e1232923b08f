"""The section ``log``."""

from __future__ import annotations

from typing import Literal

from streaming.settings.base import Section


class LogSettings(Section):
    """What is logged and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """``auto``: console on a terminal, JSON elsewhere."""
