"""Where a server writes its answers, put together from the settings."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from streaming.adapters.kafka.served import KafkaAnswers, served_targets
from streaming.serving.answer_log import AnswerLog
from streaming.serving.answer_rows import AnswerRows
from streaming.serving.passes import EventPasses
from streaming.serving.server_metrics import ServerMetrics
from streaming.settings import Settings

STOP_SECONDS = 5.0
"""The time that the last answers have to reach the broker, beside that of the requests in flight."""


@dataclass(frozen=True)
class KafkaAnswerLog:
    """Opens the sink of a server's answers; ``settings`` have the server's own name."""

    settings: Settings
    passes: EventPasses
    metrics: ServerMetrics

    def __call__(self) -> KafkaAnswers:
        """Return the sink; raises as :func:`streaming.adapters.kafka.served.served_targets`."""
        settings = self.settings
        targets = served_targets(settings.kafka, settings.output, settings.served_topic, settings.application)
        return KafkaAnswers(
            kafka=settings.kafka,
            application=settings.application,
            targets=targets,
            rows=AnswerRows(self.passes.source, self.passes.numbers, targets.predictions),
            counts=self.metrics,
        )


def answer_log(settings: Settings, passes: EventPasses, metrics: ServerMetrics, stack: ExitStack) -> AnswerLog | None:
    """Return the log, which writes until ``stack`` ends; ``None`` without ``serve.log``.

    Raises:
        ConfigurationError: the answers cannot be written by these settings.
    """
    serve = settings.serve
    if not serve.log:
        return None
    log = AnswerLog(KafkaAnswerLog(settings, passes, metrics), metrics, serve.log_max_bytes)
    log.start()
    stack.callback(log.stop, serve.timeout_seconds + STOP_SECONDS)
    return log
