"""How a failed command ends: one message and its exit code. The stack trace of an unexpected error goes to a file."""

from __future__ import annotations

import errno
import os
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from streaming.errors import PenstockError
from streaming.redaction import redact

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
UNEXPECTED = 1
_CONFIGURATION = 2


class Ending(NamedTuple):
    """The message on standard error, and the exit code of the process."""

    message: str
    code: int


def ending(error: Exception, folders: Sequence[Path] | None = None) -> Ending:
    """Return how a command ends with ``error``.

    Args:
        error: What reached the top.
        folders: Where a stack trace may be kept, the first that can be written; ``.penstock`` and the folder for
            temporary files by default.
    """
    if isinstance(error, PenstockError):
        return Ending(str(error), error.exit_code)
    # A full disk is the most frequent failure of a batch. Its remedy is not "correct the path".
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return Ending(
            f"The disk is full ({_path(error) or 'no file named'}). Free some space, then run it again.", _CONFIGURATION
        )
    if isinstance(error, OSError) and error.strerror and (path := _path(error)):
        return Ending(
            f"{path} cannot be used: {error.strerror}. Correct the path or its permissions, then run it again.",
            _CONFIGURATION,
        )
    whereabouts = _keep_trace(error, folders or (Path(".penstock"), Path(tempfile.gettempdir())))
    return Ending(f"Unexpected {type(error).__name__}: {_first_line(error)}. {whereabouts}", UNEXPECTED)


def _path(error: OSError) -> str:
    """Return the path in the operating system's error; empty without one, as for a connection."""
    name = error.filename2 or error.filename
    return os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else ""


def _first_line(error: Exception) -> str:
    return next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), "no message")


def _keep_trace(error: Exception, folders: Sequence[Path]) -> str:
    """Write the stack trace to a file of its own, for its owner alone, and say where it is."""
    trace = redact("".join(traceback.format_exception(error)))
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # mkstemp makes the file readable for its owner alone; a trace may name data.
            descriptor, name = tempfile.mkstemp(prefix="error-", suffix=".log", dir=folder)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(trace)
        except OSError:
            continue
        return f"The stack trace is in {Path(name).absolute()}; please report it."
    return f"The stack trace could be written to none of {', '.join(map(str, folders))}."
