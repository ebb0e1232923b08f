"""Logging for every command: structlog on top, everything that libraries log through the same door."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

from streaming.settings import LogSettings

QUIET = ("py4j", "httpx", "httpcore", "urllib3", "mlflow", "alembic", "uvicorn", "asyncio", "docker")
"""Libraries whose ``info`` says nothing to an operator."""


def configure_logging(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send every log line to ``stream``, by default standard error: JSON, one object a line, or text on a terminal.

    Use ``structlog.get_logger()`` afterwards: an event name and values, ``log.info("model_swapped", version=4)``.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    console = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(console, stream)],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    logging.captureWarnings(True)
    if settings.level != "debug":
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)


def _renderers(console: bool, stream: TextIO) -> list[Processor]:
    # Never the frames' local variables: they hold records and secrets.
    if console:
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(frames), structlog.processors.JSONRenderer(default=str)]
