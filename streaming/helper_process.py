"""A process of Python's that does a part of the work: it is asked over a socket, and ends with whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection

# The import path is that of the process that starts it, which may have its own from an archive of Spark's.
_PROGRAM = (
    "import importlib, os, sys; sys.path[:] = sys.argv[1].split(os.pathsep);"
    " importlib.import_module(sys.argv[2]).main(int(sys.argv[3]), *sys.argv[4:])"
)


@dataclass(frozen=True)
class HelperProcess:
    """A process under way, and the socket by which it is asked."""

    process: subprocess.Popen[bytes]
    socket: Connection

    def end(self) -> None:
        """Kill it with its group, as its code may have started processes of its own; twice does no harm."""
        # The number of a process that was waited for may be another's by now.
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.socket.close()
        if self.process.stdin:
            self.process.stdin.close()


def start_helper(module: str, *arguments: str) -> HelperProcess:
    """Have another interpreter call ``main`` of a module, with a descriptor for :func:`helper_socket` and arguments."""
    socket, theirs = Pipe()
    descriptor = theirs.fileno()
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, path, module, str(descriptor), *arguments],
        stdin=subprocess.PIPE,
        pass_fds=[descriptor],
        # A signal from a terminal is for the process that asks, which ends this one in order.
        start_new_session=True,
    )
    theirs.close()
    return HelperProcess(process, socket)


def helper_socket(descriptor: int) -> Connection:
    """Return the socket by which this process is asked; from now on it ends when its standard input closes.

    That is when the process that started it ends, however that ends. What is printed goes to the log.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(2, 1)
    return Connection(descriptor)


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
