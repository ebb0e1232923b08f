"""The section ``hooks``: receivers of notifications in addition to the topics."""

from __future__ import annotations

from streaming.settings.base import Positive, Secret, Section


class HookSettings(Section):
    """The receivers of swaps, refusals and drift alerts, in addition to the topics."""

    python: str | None = None
    """``package.module:function``, called with the event as a dict."""
    webhook_url: str | None = None
    webhook_secret: Secret | None = None
    """Signs outgoing calls by HMAC-SHA256, so the receiver can check them."""
    webhook_attempts: Positive = 4
