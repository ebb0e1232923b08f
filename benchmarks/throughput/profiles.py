"""Where a running query's time goes, as text: the top frames of Spark's JVM, and of its Python workers.

The JVM is recorded by its own flight recorder, through ``jcmd`` of a JDK. The workers are sampled by py-spy, which has
to be on the path (``pip install py-spy``), and may have to run as root. Samples of threads that wait are left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from pyspark.sql import SparkSession

from streaming.errors import SetupError
from streaming.local.java import find_java

FOLDER = Path("build/bench/profiles")
_SECONDS = 10
_MOST = 20
_FRAME = re.compile(r"stackTrace = \[\s*\n\s*(?P<method>[^\n(]+)\(")
_PROCESSES = "pyspark.daemon"


@contextmanager
def profiling(name: str, under_way: Callable[[], bool]) -> Iterator[None]:
    """Profile the session's processes while the block runs, once ``under_way`` says so."""
    ended = threading.Event()
    thread = threading.Thread(target=_recorded, args=(name, under_way, ended))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _recorded(name: str, under_way: Callable[[], bool], ended: threading.Event) -> None:
    while not under_way():
        if ended.wait(0.1):
            return
    FOLDER.mkdir(parents=True, exist_ok=True)
    session = SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()
    jvm: object = session._jvm
    pid = int(jvm.java.lang.ProcessHandle.current().pid())  # type: ignore[attr-defined]
    workers = threading.Thread(target=_workers, args=(name, pid))
    workers.start()
    _jvm(name, pid)
    workers.join()


def _jvm(name: str, pid: int) -> None:
    tools, recording = Path(find_java(os.environ)).resolve().parent, FOLDER.absolute() / f"{name}.jfr"
    jcmd = [str(tools / "jcmd"), str(pid)]
    _run([*jcmd, "JFR.start", "name=bench", "settings=profile"])
    time.sleep(_SECONDS)
    _run([*jcmd, "JFR.stop", "name=bench", f"filename={recording}"])
    # Samples of native methods are of threads that wait, nearly all.
    text = _run([str(tools / "jfr"), "print", "--events", "jdk.ExecutionSample", "--stack-depth", "1", str(recording)])
    _write(f"{name}-jvm.txt", Counter(frame["method"] for frame in _FRAME.finditer(text)))


def _workers(name: str, jvm: int) -> None:
    sampler, stacks = shutil.which("py-spy"), FOLDER.absolute() / f"{name}-workers.stacks"
    daemons = [child for child in psutil.Process(jvm).children() if _PROCESSES in " ".join(child.cmdline())]
    if sampler is None or not daemons:
        (FOLDER / f"{name}-workers.txt").write_text("py-spy is not on the path, or there are no workers\n")
        return
    what = ["--pid", str(daemons[0].pid), "--subprocesses", "--native", "--duration", str(_SECONDS)]
    _run([sampler, "record", *what, "--format", "raw", "--output", str(stacks)])
    frames: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        frames[stack.rpartition(";")[2]] += int(samples)
    _write(f"{name}-workers.txt", frames)


def _write(file: str, frames: Counter[str]) -> None:
    """Write the frames in which most samples were, with their shares."""
    lines = [f"{100 * count / frames.total():5.1f} %  {frame}" for frame, count in frames.most_common(_MOST)]
    (FOLDER / file).write_text(f"{frames.total()} samples\n" + "\n".join(lines) + "\n")


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{command[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
