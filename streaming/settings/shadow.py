"""The settings of ``penstock shadow``: how much it scores, and how old that may be."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from streaming.settings.base import Port, Seconds, Section


class ShadowSettings(Section):
    """They bound what a shadow costs. The job that answers does not notice it in any case."""

    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The share of the keys that the champion answers which the candidate scores, too; always the same keys."""
    max_lag_seconds: Seconds | None = None
    """A prediction that was made longer ago is passed over, and counted; ``None``: none is."""
    metrics_host: str = "127.0.0.1"
    metrics_port: Port | None = None
    """The port for Prometheus; ``None``: no endpoint."""
