"""The port on which a verb without an endpoint of its own answers Prometheus."""

from __future__ import annotations

from typing import Protocol

from streaming.errors import ConfigurationError


class ServedMetrics(Protocol):
    """Metrics that answer by themselves."""

    def serve(self, host: str, port: int) -> None:
        """Answer ``/metrics``; raises ``OSError`` if the port is taken."""
        ...


def serve_metrics(metrics: ServedMetrics, host: str, port: int | None, setting: str) -> None:
    """Answer on a port, if one is set; ``setting`` names it, such as ``drift.metrics_port``.

    Raises:
        ConfigurationError: the port is taken.
    """
    if port is None:
        return
    try:
        metrics.serve(host, port)
    except OSError as problem:
        raise ConfigurationError(
            f"{host}:{port} cannot be listened on ({problem}); set {setting} to another port, or to null for no"
            " endpoint"
        ) from problem
