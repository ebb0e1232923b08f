"""Drift alerts put together: what was told before, and who is told from now on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from streaming.adapters.hooks import hooks_from
from streaming.adapters.kafka_drift import read_alerts
from streaming.adapters.kafka_events import KafkaNews
from streaming.clock import system_clock
from streaming.drift.alerts import Alerts
from streaming.settings import Settings


@contextmanager
def alerting(settings: Settings) -> Iterator[Alerts]:
    """Yield what is called with each window that was closed; at the end, what is under way is delivered.

    Raises:
        BrokerUnavailableError: the alerts sent before cannot be read.
        ConfigurationError: the Python hook cannot be found.
    """
    topic, names = settings.output.drift, (settings.application, settings.model.name)
    sent = [
        alert for alert in read_alerts(settings.kafka, topic) if (alert.window.application, alert.window.model) == names
    ]
    with ExitStack() as stack:
        news, hooks = KafkaNews(settings.kafka, topic), hooks_from(settings.hooks, system_clock)
        stack.callback(news.close)
        for hook in hooks:
            stack.callback(hook.close)
        yield Alerts([news, *hooks], sent)
