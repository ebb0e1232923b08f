"""The settings of ``penstock rollout judge``: where it says how it fares. How a rollout is judged, its plan says."""

from __future__ import annotations

from streaming.settings.base import Port, Section


class JudgeSettings(Section):
    """Labels are awaited as ``quality`` awaits them."""

    metrics_host: str = "127.0.0.1"
    metrics_port: Port | None = None
    """The port for ``/metrics``, ``/livez`` and ``/readyz``; ``None``: no endpoint."""
