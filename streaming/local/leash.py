"""Run one command and end it, with all its children, when the process that asked for it is gone.

``python leash.py GRACE COMMAND...`` is started with a pipe as its standard input. The pipe closes when the parent ends,
however it ends, so nothing stays behind after ``kill -9`` either. A pipe works on every Unix; Linux's parent-death
signal follows the thread that started a process, not the process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable


def main(grace: float, command: list[str]) -> int:
    """Run ``command`` until it ends, the pipe closes or SIGTERM comes; return its exit code.

    The command itself is asked to stop (SIGTERM) and gets ``grace`` seconds; its children are not asked, because a
    program may still need them to stop in order (a Spark driver its JVM). What is left of the group is killed.
    """
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_watch_pipe, args=(stopping,), daemon=True).start()
    while child.poll() is None and not stopping.is_set():
        time.sleep(0.05)
    if child.poll() is None:
        child.terminate()
        _wait_until(lambda: child.poll() is not None, grace)
    _wait_until(lambda: not _signal_group(child.pid, 0), 1.0 if child.poll() is not None else 0.0)
    _signal_group(child.pid, signal.SIGKILL)
    return child.wait()


def _watch_pipe(stopping: threading.Event) -> None:
    while os.read(0, 1):
        pass
    stopping.set()


def _wait_until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal (0 only asks) and say whether the group still has a member."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS answers the second for a group of zombies
        return False
    return True


if __name__ == "__main__":
    # Which program to run is this script's only input, so it reads its arguments itself.
    code = main(float(sys.argv[1]), sys.argv[2:])
    sys.exit(code if code >= 0 else 128 - code)
