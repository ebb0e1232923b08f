"""The section ``http``: metrics, health and webhooks."""

from __future__ import annotations

from streaming.settings.base import Port, Secret, Section


class HttpSettings(Section):
    """The endpoint for metrics, health and webhooks."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8088
    """0 takes a free port and logs it."""
    webhook_secret: Secret | None = None
    """The secret MLflow signs its webhooks with; without one the webhook endpoint answers 404."""
    admin_token: Secret | None = None
    """Asked for as a bearer token by POST /v1/stop, /v1/resume and /v1/hold. Without one these are open on a loopback
    host, and not there on any other."""
