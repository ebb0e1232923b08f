"""Stack traces of unexpected errors: as Python writes them, without secrets."""

from __future__ import annotations

import sys
import threading
import traceback
from types import TracebackType

from streaming.redaction import redact


def redact_traces() -> None:
    """Mask secrets in what ends the process or one of its threads."""
    sys.excepthook = _write
    threading.excepthook = _write_of_thread


def _write(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def _write_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        sys.stderr.write(f"Exception in thread {ended.thread.name if ended.thread else 'unknown'}:\n")
        _write(ended.exc_type, ended.exc_value, ended.exc_traceback)
