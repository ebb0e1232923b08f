"""Logging for every command: structlog formats our own lines and those of all libraries."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from streaming.redaction import redact, redact_tree
from streaming.settings import LogSettings

QUIET = ("py4j", "httpx", "httpcore", "urllib3", "mlflow", "alembic", "uvicorn", "asyncio", "docker")
"""Libraries whose ``info`` says nothing to an operator."""
SILENT = ("py4j",)
"""Logs each command to the JVM at ``debug``, and with it passwords: as options, and in pickled functions, where no
redaction would find them."""


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
    )
    console = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(console, stream)],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    handler.addFilter(_is_no_interruption)
    root = logging.getLogger()
    # In place of all others: libraries that installed their own would print every line twice.
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    logging.captureWarnings(True)
    for name in QUIET:
        quiet = settings.level != "debug" or name in SILENT
        logging.getLogger(name).setLevel(logging.WARNING if quiet else logging.NOTSET)


def _is_no_interruption(record: logging.LogRecord) -> bool:
    """Return false for the stack trace that py4j logs of a Ctrl-C while the JVM works: the interruption goes on."""
    return record.exc_info is None or not isinstance(record.exc_info[1], KeyboardInterrupt)


def _renderers(console: bool, stream: TextIO) -> list[Processor]:
    # Never the frames' local variables: they hold records and secrets.
    if console:
        plain = structlog.dev.plain_traceback
        look = structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)
        return [_redacted, look, _redacted_line]
    frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(frames), _redacted, structlog.processors.JSONRenderer()]


def _redacted(_: object, __: str, event: EventDict) -> EventDict:
    """Mask by key and by value, before it is written as JSON: what is masked in text may be more than one string."""
    plain: EventDict = redact_tree(_plain({name: value for name, value in event.items() if name != "exc_info"}))
    return {**event, **plain}


def _redacted_line(_: object, __: str, line: Any) -> str:
    """Mask the traceback, too, which the console format adds."""
    return redact(line)


def _plain(value: object) -> object:
    """Convert objects to the text that they would have in the line."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
