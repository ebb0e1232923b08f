"""The exact engine serving on a thread of its own, supervised and looked after as the job does it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from jobs.wiring.starting import fresh_query_starter, lookout, query_starter
from streaming.engines.failures import Restarts
from streaming.engines.supervisor import Supervisor
from streaming.operations.health import Health
from tests.support.engine import NEVER, Bench


@dataclass
class Serving:
    """A job under way: its health, and what ended it."""

    health: Health
    thread: threading.Thread
    failed: list[BaseException] = field(default_factory=list)


@contextmanager
def serving(bench: Bench) -> Iterator[Serving]:
    """Serve while the block lasts; at its end, ask the job to stop and wait."""
    stopping = threading.Event()
    with bench.wired() as (footing, engine), lookout(footing):
        restarts = Restarts(0.1, 5)
        starter = query_starter if bench.planning == "kept" else fresh_query_starter
        supervisor = Supervisor(starter(footing, bench.ramp), restarts, footing.observer, NEVER, stopping)

        def run() -> None:
            try:
                supervisor.run(engine)
            except BaseException as problem:
                job.failed.append(problem)

        job = Serving(footing.observer.health, threading.Thread(target=run, daemon=True))
        job.thread.start()
        try:
            yield job
        finally:
            stopping.set()
            job.thread.join(90)
            assert not job.thread.is_alive()
