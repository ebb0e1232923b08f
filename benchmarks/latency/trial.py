"""One system alone on fresh topics: events go in by a feeder, outputs are noted by a reader, until the trial ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from confluent_kafka.admin import AdminClient

from benchmarks.latency.load import Fed, Feed
from benchmarks.latency.notes import load_notes
from benchmarks.latency.reader import Read, read_count
from benchmarks.latency.stats import Arrivals
from benchmarks.latency.system import System, Wiring
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.errors import SetupError, UpstreamError
from streaming.local.processes import ManagedProcess

PARTITIONS = 2
_FIRST_OUTPUT_SECONDS = 120.0
_QUIET_SECONDS = 1.0
_TICK_SECONDS = 0.02


@dataclass(frozen=True)
class Bench:
    """What all trials have in common: the broker, the workload and its model's folder, and where trials put theirs.

    ``broker`` is the broker's process id, so that what it takes can be told, too; 0 if it is not on this machine. After
    ``patience`` seconds without an output, what has not come counts as missing.
    """

    bootstrap: str
    workload: str
    model: Path
    folder: Path
    broker: int = 0
    patience: float = 30.0

    @property
    def bodies(self) -> Path:
        """The events' file."""
        return self.model / "bodies.jsonl"


@dataclass
class Trial:
    """A system that runs, from :func:`trial`. ``fed`` has a report for every feeder, in order."""

    bench: Bench
    system: System
    wiring: Wiring
    reader: Helper
    process: ManagedProcess | None = None
    fed: list[tuple[Feed, Fed]] = field(default_factory=list)

    @property
    def produced(self) -> int:
        """How many events all feeders so far have sent."""
        return sum(feed.events for feed, _ in self.fed)

    @property
    def outputs(self) -> int:
        """How many outputs the reader has had."""
        return read_count(self._file("count"))

    def start(self) -> ManagedProcess:
        """Start the system."""
        self.process = self.system.start(self.wiring)
        return self.process

    @contextmanager
    def feeding(self, events: int, rate: int) -> Iterator[Helper]:
        """Start a feeder; at the block's end wait for it, and keep its report.

        Raises:
            UpstreamError: An event was not acknowledged.
        """
        number = len(self.fed)
        report = self._file(f"fed-{number}.json")
        feed = Feed(
            bootstrap=self.bench.bootstrap,
            topic=self.wiring.source,
            partitions=PARTITIONS,
            bodies=str(self.bench.bodies),
            first=self.produced,
            events=events,
            rate=rate,
            report=str(report),
        )
        job = feed.write(self._file(f"feed-{number}.json"))
        with Helper("feeder", job) as feeder:
            yield feeder
            feeder.finish((events / rate if rate else 0.0) + 120.0)
        fed = Fed.read(report)
        if fed.failed:
            raise UpstreamError(f"Kafka did not acknowledge {fed.failed} of {events} events")
        self.fed.append((feed, fed))

    def settle(self) -> bool:
        """Wait until there are as many outputs as events and no more come; return whether that was reached.

        Raises:
            SetupError: The system has ended.
        """
        # Before its first output a system loads, connects and compiles.
        patience = self.bench.patience if self.outputs else _FIRST_OUTPUT_SECONDS
        count, changed = self.outputs, time.monotonic()
        while True:
            self.require_alive()
            time.sleep(_TICK_SECONDS)
            silence, now = time.monotonic() - changed, self.outputs
            if now != count:
                count, changed, patience = now, time.monotonic(), self.bench.patience
            elif silence > (_QUIET_SECONDS if count >= self.produced else patience):
                return count >= self.produced

    def require_alive(self) -> None:
        """Raise ``SetupError`` with the end of the log if the system has ended."""
        process = self.process
        if process is not None and process.exit_code is not None:
            raise SetupError(
                f"{self.system.name} ended with code {process.exit_code}. The end of its log:\n{process.tail()}"
            )

    def arrivals(self) -> Arrivals:
        """End the reader, and return what it has noted."""
        self.reader.process.stop()
        if not self._file("notes.npz").exists():
            raise SetupError(f"the reader left no notes. The end of its log:\n{self.reader.process.tail()}")
        return load_notes(self._file("notes.npz"))

    def _file(self, name: str) -> Path:
        return self.wiring.folder.parent / name


class Helper:
    """A feeder or a reader: a module of this package with its job in a file."""

    def __init__(self, module: str, job: Path) -> None:
        command = [sys.executable, "-m", f"benchmarks.latency.{module}", str(job)]
        self.process = ManagedProcess(module, command, log=job.with_suffix(".log"), environment=os.environ, grace=60.0)

    def finish(self, seconds: float) -> None:
        """Wait for its end; ``SetupError`` if it failed."""
        if self.process.wait(seconds):
            raise SetupError(f"the {self.process.name} failed. The end of its log:\n{self.process.tail()}")

    def __enter__(self) -> Helper:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.stop()


@contextmanager
def trial(bench: Bench, system: System, name: str) -> Iterator[Trial]:
    """Make the topics and start the reader; at the end stop everything and delete the topics."""
    folder = bench.folder / name
    (folder / "own").mkdir(parents=True)
    wiring = Wiring(
        bootstrap=bench.bootstrap,
        source=f"{name}.in",
        sink=f"{name}.out",
        model=bench.model,
        folder=folder / "own",
        workload=bench.workload,
    )
    admin = KafkaAdmin({"bootstrap.servers": bench.bootstrap}, "benchmark")
    for topic in (wiring.source, wiring.sink):
        admin.ensure_topic(topic, PARTITIONS, {"retention.ms": "-1"})
    read = Read(
        bootstrap=bench.bootstrap,
        topic=wiring.sink,
        partitions=PARTITIONS,
        count=str(folder / "count"),
        notes=str(folder / "notes.npz"),
    )
    with Helper("reader", read.write(folder / "read.json")) as reader:
        running = Trial(bench, system, wiring, reader)
        try:
            yield running
        finally:
            if running.process is not None:
                running.process.stop()
            _delete(bench.bootstrap, wiring)


def _delete(bootstrap: str, wiring: Wiring) -> None:
    """Delete the topics, so that the disk does not fill; one that will not go does no harm."""
    futures = AdminClient({"bootstrap.servers": bootstrap}).delete_topics([wiring.source, wiring.sink])
    for future in futures.values():
        with suppress(Exception):
            future.result(10)
