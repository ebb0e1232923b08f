"""A bench's job that goes on serving, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from jobs.wiring.running import run_engine
from streaming.operations.health import Health
from tests.support.engine import Bench

_END_SECONDS = 90.0


@dataclass
class Serving:
    """A job under way: its health, and what ended it."""

    health: Health
    thread: threading.Thread
    failed: list[BaseException] = field(default_factory=list)


@contextmanager
def serving(bench: Bench, restarts: int = 5) -> Iterator[Serving]:
    """Serve while the block lasts, with so many restarts in a row; at its end, ask the job to stop and wait."""
    stopping, patient = threading.Event(), replace(bench, restarts=restarts)
    with patient.leading() as footing:

        def run() -> None:
            try:
                run_engine(footing, patient.parts(footing, stopping))
            except BaseException as problem:
                job.failed.append(problem)

        job = Serving(footing.observer.health, threading.Thread(target=run, daemon=True))
        job.thread.start()
        try:
            yield job
        finally:
            stopping.set()
            job.thread.join(_END_SECONDS)
            assert not job.thread.is_alive()
