"""The soak: the real job under a steady load, the model swapped every minute, and whether the job grows.

``make soak MINUTES=40`` runs it: its own broker and MLflow, ``penstock score`` in its own process. It samples memory,
threads, handles and files, reads everything back at the end, and writes build/soak/summary.json and a plot per series.
Exit code 0 only if every event came out exactly once and every series is flat.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle, islice

import typer
from rich.console import Console

from benchmarks.scratch import HOME, scratch_folder
from benchmarks.soak import report
from benchmarks.soak.heap import collections
from benchmarks.soak.rig import endless_flights, gc_log, job_process, soak_rig, swap, train_versions
from benchmarks.soak.series import SWAP_EVERY
from benchmarks.soak.watch import Sample, Watch, processes_of_job
from jobs.demo.reading import OutputReader
from jobs.demo.rig import DEAD_LETTERS, PREDICTIONS, TOPIC, Rig, require_alive
from jobs.process.logs import configure_logging
from jobs.wiring.jars import jars
from jobs.wiring.mlflow_client import prepare_mlflow
from streaming.accounting.account import Account
from streaming.accounting.load import SteadyLoad
from streaming.local.processes import ManagedProcess
from streaming.local.services import services
from streaming.models.ref import ModelVersion
from streaming.settings import LogSettings

SAMPLE_EVERY = 5.0
_SILENCE_SECONDS = 60.0


@dataclass
class Soak:
    """One run; ``samples`` and ``swaps`` fill while it goes on."""

    rig: Rig
    job: ManagedProcess
    versions: list[ModelVersion]
    rate: int
    console: Console
    samples: list[Sample] = field(default_factory=list)
    swaps: list[report.TimedSwap] = field(default_factory=list)

    def run(self, minutes: float) -> Account:
        """Publish and swap for ``minutes``, then read everything back."""
        servers = self.rig.services.bootstrap_servers
        load: SteadyLoad[str | None] = SteadyLoad(servers, TOPIC, self.rate)
        reading = OutputReader(servers, PREDICTIONS, DEAD_LETTERS)
        with ThreadPoolExecutor(3) as pool:
            try:
                publishing = pool.submit(load.run, endless_flights())
                self._watch_and_swap(minutes, pool)
                load.stopping.set()
                publishing.result()
                following = pool.submit(reading.follow)
                self._wait_for(reading, load.sent)
                self.job.stop()
                reading.stop.set()
                following.result()
            finally:
                load.stopping.set()
                reading.abandon.set()
        return Account.of(load.delivered, reading.places, reading.dead)

    def _watch_and_swap(self, minutes: float, pool: ThreadPoolExecutor) -> None:
        watch = Watch(self.rig, processes_of_job())
        coming = islice(cycle(self.versions), 1, None)
        began = time.monotonic()
        swapping: Future[None] | None = None
        for number in range(int(minutes * 60 / SAMPLE_EVERY) + 1):
            time.sleep(max(0.0, began + number * SAMPLE_EVERY - time.monotonic()))
            require_alive(self.job)
            self.samples.append(watch.sample())
            if swapping is not None and swapping.done():
                swapping = swapping.result()
            if swapping is None and (number * SAMPLE_EVERY) % SWAP_EVERY == SWAP_EVERY / 2:
                swapping = pool.submit(self._swap, next(coming))
        if swapping is not None:
            swapping.result()

    def _swap(self, version: ModelVersion) -> None:
        seconds = swap(self.rig, version)
        self.swaps.append(report.TimedSwap(time.time(), version.version, seconds))
        latest = self.samples[-1]
        self.console.print(
            f"swap {len(self.swaps)}: {version} serves after {seconds:.1f} s; lag {latest['lag']:,.0f},"
            f" driver {latest['driver_rss'] / 1e6:,.0f} MB, JVM {latest['jvm_rss'] / 1e6:,.0f} MB",
            highlight=False,
        )

    def _wait_for(self, reading: OutputReader, expected: int) -> None:
        count, changed = -1, time.monotonic()
        while reading.count < expected and time.monotonic() - changed < _SILENCE_SECONDS:
            if reading.count != count:
                count, changed = reading.count, time.monotonic()
            time.sleep(0.2)


def main(minutes: float = 40.0, rate: int = 200, warm_up: float = 5.0) -> None:
    """Run, and report on what came after ``warm_up`` minutes."""
    console = Console()
    configure_logging(LogSettings(level="error"))
    prepare_mlflow()
    with (
        scratch_folder("soak") as folder,
        services(folder, jars(HOME).broker, os.environ) as running,
    ):
        rig = soak_rig(folder, running)
        versions = train_versions(rig, console)
        with job_process(rig) as job:
            soak = Soak(rig=rig, job=job, versions=versions, rate=rate, console=console)
            account = soak.run(minutes)
        collected = list(collections(gc_log(folder)))
    run = report.Run(
        samples=soak.samples, collections=collected, swaps=soak.swaps, account=account, warm_up=warm_up * 60
    )
    sys.exit(0 if report.write(run, console) else 1)


if __name__ == "__main__":
    typer.run(main)
