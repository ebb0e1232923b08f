"""A model's code in a process of its own: asked with a bound of time, ended when it oversteps, and started again."""

from __future__ import annotations

import shutil
import subprocess
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import pyarrow as pa

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.helper_process import HelperProcess, start_helper
from streaming.refusal_codes import RefusalCode
from streaming.scoring.code.child import ANSWERS, MISSING, READY, from_bytes, to_bytes
from streaming.scoring.code.files import unpack

_LOAD_SECONDS = 120.0
"""The longest that a model's code may take to be loaded; libraries such as PyTorch take long to import."""


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
    _child: HelperProcess | None = field(default=None, repr=False)
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

    def _asked(self, child: HelperProcess, content: bytes) -> bytes:
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

    def _started(self) -> HelperProcess:
        child = start_helper("streaming.scoring.code.child", self._folder, self.kind)
        weakref.finalize(self, child.end)
        reply = self._first_word(child)
        if reply[:1] != READY:
            child.end()
            raise _refused(reply)
        return child

    def _first_word(self, child: HelperProcess) -> bytes:
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
