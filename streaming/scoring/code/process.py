"""A model's code in a process of its own: asked with a bound of time, ended when it oversteps, and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import mkdtemp

import pyarrow as pa

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.refusal_codes import RefusalCode
from streaming.scoring.code.child import ANSWERS, MISSING, READY, from_bytes, to_bytes
from streaming.scoring.code.files import unpack

# The import path is that of the process that starts it, which may have its own from an archive of Spark's.
_PROGRAM = (
    "import os, sys; sys.path[:] = sys.argv[1].split(os.pathsep);"
    " from streaming.scoring.code.child import main; main(int(sys.argv[2]), *sys.argv[3:])"
)
_LOAD_SECONDS = 120.0
"""The longest that a model's code may take to be loaded; libraries such as PyTorch take long to import."""


@dataclass(frozen=True)
class _Child:
    """A process under way, and what it is asked by."""

    process: subprocess.Popen[bytes]
    socket: Connection

    def end(self) -> None:
        """Kill it with its group, as the code may have started processes of its own; twice does no harm."""
        # The number of a process that was waited for may be another's by now.
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.socket.close()
        if self.process.stdin:
            self.process.stdin.close()


@dataclass(eq=False)
class ModelProcess:
    """A :class:`streaming.scoring.flavours.flavour.NativeModel` whose answers come from another process.

    Attributes:
        content: the version's folder; see :func:`streaming.scoring.code.files.packed`.
        kind: how the model is loaded there.
        seconds: the longest that a batch may take.
    """

    content: bytes = field(repr=False)
    kind: str
    seconds: float
    _child: _Child | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Unpack the files and load the model.

        Raises:
            CandidateRefusedError: ``LIBRARY_MISSING`` or ``CORRUPT_FILES``; the code does not load.
        """
        self._folder = mkdtemp(prefix="penstock-code-")
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        unpack(self.content, Path(self._folder))
        self._child = self._started()

    def answer(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """Return the code's answers; see :class:`streaming.scoring.flavours.flavour.NativeModel`.

        Raises:
            ScoringError: it raised; or it took too long or died, after which another process takes its place.
        """
        with self._lock:
            if self._child is None:
                self._child = self._started()
            reply = self._asked(self._child, to_bytes(events))
        if reply[:1] != ANSWERS:
            raise ScoringError(reply[1:].decode("utf-8", "replace"))
        return from_bytes(reply[1:])

    def _asked(self, child: _Child, content: bytes) -> bytes:
        try:
            child.socket.send_bytes(content)
            if child.socket.poll(self.seconds):
                return child.socket.recv_bytes()
            why = f"the model's code took longer than {self.seconds:g} s (model.code_seconds); its process was ended"
        except (EOFError, OSError):
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(1.0)
            why = f"the process of the model's code died of it (exit code {child.process.poll()})"
        self._child = None
        child.end()
        raise ScoringError(why)

    def _started(self) -> _Child:
        socket, theirs = Pipe()
        descriptor = theirs.fileno()
        path = os.pathsep.join(filter(None, sys.path))
        command = [sys.executable, "-c", _PROGRAM, path, str(descriptor), self._folder, self.kind]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            pass_fds=[descriptor],
            start_new_session=True,
        )
        theirs.close()
        child = _Child(process, socket)
        weakref.finalize(self, child.end)
        reply = self._first_word(child)
        if reply[:1] != READY:
            child.end()
            raise _refused(reply)
        return child

    def _first_word(self, child: _Child) -> bytes:
        try:
            if child.socket.poll(_LOAD_SECONDS):
                return child.socket.recv_bytes()
        except (EOFError, OSError):
            return b"Fits process died while it was loaded"
        return b"Fit took longer than %d s to load" % _LOAD_SECONDS


def _refused(reply: bytes) -> CandidateRefusedError:
    detail = reply[1:].decode("utf-8", "replace")
    if reply[:1] == MISSING:
        return CandidateRefusedError(
            RefusalCode.LIBRARY_MISSING,
            f"the model's code needs the module {detail}, which is not installed where the job runs; Penstock installs"
            " nothing of a model's environment",
        )
    return CandidateRefusedError(RefusalCode.CORRUPT_FILES, f"the model's code cannot be loaded: {detail}")
