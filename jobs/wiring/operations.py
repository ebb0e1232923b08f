"""The scoring job's HTTP endpoint put together: metrics, health, the webhook, and what operators may order."""

from __future__ import annotations

from jobs.wiring.many import has_many
from jobs.wiring.warm_job import ScoringJob
from streaming.clock import system_clock
from streaming.models.routing import RoutingRule
from streaming.operations.admin import Access, Controls
from streaming.operations.http import HttpServer, Operations, create_app
from streaming.operations.webhook import WebhookReceiver


def serve_operations(job: ScoringJob) -> None:
    """Answer over HTTP until everything else is closed, so that an endpoint that is gone means a job that has ended."""
    shared, http = job.shared, job.shared.settings.http
    if not http.enabled:
        return
    token, observer = http.admin_token.get_secret_value() if http.admin_token else None, shared.observer
    operations = Operations(
        metrics=observer.metrics,
        health=observer.health,
        slot=shared.slot,
        webhook=_webhook(job),
        admin=(_controls(job), Access(http.host, token)),
        rollout=observer.rollout,
    )
    server = HttpServer(create_app(operations), http.host, http.port)
    shared.last.callback(server.stop)
    server.start()


def _webhook(job: ScoringJob) -> WebhookReceiver | None:
    settings = job.shared.settings
    if not settings.http.webhook_secret:
        return None
    secret, name = settings.http.webhook_secret.get_secret_value(), settings.model.name
    is_ours = RoutingRule.from_settings(settings.models).claims if has_many(settings) else name.__eq__
    return WebhookReceiver(secret, is_ours, job.follower.wake, system_clock)


def _controls(job: ScoringJob) -> Controls:
    settings = job.shared.settings
    return Controls(
        model="" if has_many(settings) else settings.model.name,
        stop=job.stop,
        resume=job.breaker.resume,
        hold=job.follower.hold,
        active=lambda: job.gate.is_open,
    )
