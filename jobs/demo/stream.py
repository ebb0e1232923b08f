"""The demonstration's main part: events stream in, and the model is replaced while they do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pandas as pd

from jobs.demo.display import Display
from jobs.demo.events import BROKEN_EVERY, broken_count, messages
from jobs.demo.reading import OutputReader
from jobs.demo.results import Label, Results, Swap, latencies, quality
from jobs.demo.rig import (
    ALIAS,
    DEAD_LETTERS,
    PREDICTIONS,
    TOPIC,
    Rig,
    require_alive,
    serving_scorer,
    serving_version,
)
from streaming.accounting.account import Account
from streaming.accounting.load import SteadyLoad
from streaming.adapters.mlflow.tracking import MlflowTracker
from streaming.errors import UpstreamError
from streaming.local.processes import ManagedProcess
from streaming.training.record import Promotion, TrainedVersion

RATE = 1_600
TRAIN_AT = 0.25
"""The share of the stream after which the next version is trained: April has gone by."""
TRAINED_BY, SWAPPED_BY = 0.60, 0.78
"""The shares of the stream at which the publisher waits until the next version is trained, and until the job has it.

On a slow or busy machine the stream would otherwise end before both versions had their part.
"""
SWAP_SECONDS = 120.0


@dataclass
class Streaming:
    """One run of the stream.

    ``train`` trains and registers the next version without promoting it, ``cancel`` ends a training that is under way.
    """

    rig: Rig
    job: ManagedProcess
    display: Display
    table: pd.DataFrame
    train: Callable[[], TrainedVersion]
    cancel: Callable[[], None]

    def __post_init__(self) -> None:
        servers = self.rig.services.bootstrap_servers
        self._total = len(self.table) + broken_count(len(self.table), BROKEN_EVERY)
        self._load: SteadyLoad[str | None] = SteadyLoad(servers, TOPIC, RATE)
        self._reading = OutputReader(servers, PREDICTIONS, DEAD_LETTERS)
        self._threads: list[Future[None]] = []
        self._trained, self._swapped = threading.Event(), threading.Event()
        self._gates = {int(self._total * TRAINED_BY): self._trained, int(self._total * SWAPPED_BY): self._swapped}

    def run(self) -> Results:
        """Publish everything, swap on the way, read everything back, and return what was found.

        Raises:
            PenstockError: a service, the job, the publisher or the training failed.
        """
        # A thread each for the publisher, the reader and the training.
        with ThreadPoolExecutor(3) as pool:
            try:
                publishing = pool.submit(self._load.run, messages(self.table, BROKEN_EVERY), self._gates)
                reading = pool.submit(self._reading.follow)
                self._threads = [publishing, reading]
                training, swap = self._swap(pool)
                self._wait(publishing.done)
                self._reading.wait_for(self._load.sent, self._look)
                self.job.stop()
                self._reading.stop.set()
                reading.result()
            except BaseException:
                # The pool waits for its threads, and the job, which is stopped after that, would keep them busy.
                self._load.stopping.set()
                self._reading.abandon.set()
                self.cancel()
                raise
        return self._results(training, swap)

    def _swap(self, pool: ThreadPoolExecutor) -> tuple[tuple[float, float], Swap]:
        """Train the next version, move the alias, wait for its first prediction; return when it trained, and that."""
        self._wait(lambda: self._load.sent >= self._total * TRAIN_AT)
        self.display.say("training v2 on March and April, now that the stream is in May")
        began = time.time()
        future = pool.submit(self.train)
        self._wait(future.done)
        version = future.result().version
        trained = time.time()
        self._resume()
        before = max(self._reading.first_read, default=0)
        self.display.say(f"moving the alias {ALIAS} to v{version.version} while events stream in")
        moved = time.time()
        MlflowTracker(self.rig.services.tracking_uri).promote(version, Promotion(alias=ALIAS))
        self._wait(lambda: serving_version(self.rig) == version.version, SWAP_SECONDS)
        self._swapped.set()
        self._wait(lambda: version.version in self._reading.first_read, SWAP_SECONDS)
        seconds = self._reading.first_read[version.version] - moved
        self.display.say(f"first prediction of v{version.version}, {seconds:.1f} s after the alias moved")
        self.display.say(f"v{version.version} is {serving_scorer(self.rig)}")
        swap = Swap(before=before, after=version.version, seconds=seconds, rate=RATE, waiting=self._load.paused_seconds)
        return (began, trained), swap

    def _resume(self) -> None:
        """Open the first gate; if the publisher stood at it, let the load come back before the swap."""
        held = self._load.sent
        self._trained.set()
        if held in self._gates:
            self._wait(lambda: self._load.sent >= held + 2 * RATE)

    def _wait(self, done: Callable[[], bool], seconds: float | None = None) -> None:
        deadline = None if seconds is None else time.monotonic() + seconds
        while not done():
            if deadline is not None and time.monotonic() > deadline:
                raise UpstreamError(
                    f"the new version did not serve within {seconds:.0f} s of the alias's move; the scoring job's log"
                    f" says why: {self.job.log}\n{self.job.tail()}"
                )
            self._look()

    def _look(self) -> None:
        """Show how far things are; raise what went wrong anywhere."""
        for process in (self.job, *self.rig.services.processes):
            require_alive(process)
        for thread in self._threads:
            if thread.done():
                thread.result()
        self.display.counts(self._load.sent, self._reading.count, self._total)
        time.sleep(0.1)

    def _results(self, training: tuple[float, float], swap: Swap) -> Results:
        published, predictions = self._load.sent_at, self._reading.predictions
        steady, busy = latencies(published, predictions, training)
        last = max((seen.read_at for seen in predictions), default=0.0)
        account = Account.of(published, self._reading.places, self._reading.dead)
        return Results(
            account=account,
            reasons=dict(self._reading.reasons),
            throughput=account.events_in / max(last - min(published.values()), 0.001),
            steady=steady,
            training=busy,
            swap=swap,
            versions=quality(predictions, _labels(self.table), self.table["event_time"].iloc[-1]),
            seconds=self.display.seconds,
        )


def _labels(table: pd.DataFrame) -> dict[str, Label]:
    landed = table.dropna(subset="late")
    columns = zip(landed["event_id"], landed["late"], landed["label_time"], strict=True)
    return {event_id: Label(bool(late), known_at) for event_id, late, known_at in columns}
