"""Latency and throughput of Penstock's engines, of Spark's own micro-batch and of peers, by one harness.

``make bench`` runs all of it, each system once and cut into windows, in about a quarter of an hour; ``make bench-live``
and ``make bench-peers`` run the parts, the former starting each system three times. Runs are kept in build/bench/raw;
build/bench has live.json, peers.json and the page, index.html.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks.latency import swap
from benchmarks.latency.catalogue import live_systems, peer_systems
from benchmarks.latency.machine import describe
from benchmarks.latency.model import train_apart
from benchmarks.latency.page import Measured, write_page
from benchmarks.latency.penstock_systems import INTERVAL_SECONDS
from benchmarks.latency.plan import BOUNDARIES, WARM_UP, Effort, peer_plan, plan, rotated
from benchmarks.latency.run import Result, run
from benchmarks.latency.summary import Summary, live_numbers, peer_numbers, summarise
from benchmarks.latency.system import System
from benchmarks.latency.trial import Bench
from benchmarks.latency.workloads import WORKLOADS
from benchmarks.scratch import HOME, scratch_folder
from jobs.wiring.jars import jars
from jobs.wiring.mlflow_client import prepare_mlflow
from streaming.local.services import services


class Part(str, Enum):
    """What is measured; ``page`` measures nothing, and writes the results anew from the runs that are kept."""

    LIVE = "live"
    PEERS = "peers"
    ALL = "all"
    PAGE = "page"


@dataclass(frozen=True)
class Session:
    """One call of the benchmark."""

    part: Part
    effort: Effort
    only: Sequence[str]
    out: Path
    console: Console
    boundary_seconds: float

    def systems(self, part: Part) -> list[System]:
        """Return the systems of a part that were asked for."""
        if self.part not in (part, Part.ALL):
            return []
        installed = live_systems(self.boundary_seconds) if part is Part.LIVE else peer_systems(self.console.print)
        return [system for system in installed if not self.only or system.name in self.only]

    def measure(self, bench: Bench) -> None:
        """Run every system as often as asked, in turn, and keep each result."""
        live, peers = self.systems(Part.LIVE), self.systems(Part.PEERS)
        for part, systems in ((Part.LIVE, live), (Part.PEERS, peers)):
            for old in (self.out / "raw").glob(f"{part.value}-*.json") if systems else ():
                old.unlink()
        for number in range(1, self.effort.runs + 1):
            for system in rotated(live, number):
                self._keep(run(bench, system, plan(system, number, self.effort), number), Part.LIVE)
        for number in range(1, self.effort.peer_runs + 1):
            for system in rotated(peers, number):
                self._keep(run(bench, system, peer_plan(system, number, self.effort), number), Part.PEERS)

    def _keep(self, result: Result, part: Part) -> None:
        path = self.out / "raw" / f"{part.value}-{result.system}-{result.number}.json"
        path.write_text(json.dumps(result.to_json()))
        self.console.print(_line(result), highlight=False, soft_wrap=True)


def main(
    part: Annotated[Part, typer.Argument()] = Part.ALL,
    seconds: float = 8.0,
    rate: int = 1_000,
    runs: int = 3,
    peer_runs: int = 1,
    backlog: int = 20_000,
    burst: int = 100_000,
    systems: str = "",
    workload: str = "flights",
    out: Path = Path("build/bench"),
    sustainable: bool = False,
    interval: float = INTERVAL_SECONDS,
    warm_up: float = WARM_UP,
    boundaries: int = BOUNDARIES,
) -> None:
    """Measure, and write what came of it.

    SYSTEMS is a list of names with commas, ``swap`` among them, for measuring these alone. SUSTAINABLE looks for the
    highest rate that each system keeps up with, too, which takes some minutes for each. INTERVAL are the seconds
    between two boundaries of the live engine, WARM_UP those at the common rate before a run counts. BOUNDARIES is how
    many of them the live engine's runs have together.
    """
    console = Console()
    only = [name for name in systems.split(",") if name]
    (out / "raw").mkdir(parents=True, exist_ok=True)
    effort = Effort(
        rate=rate,
        seconds=seconds,
        backlog=backlog,
        burst=burst,
        runs=runs,
        peer_runs=peer_runs,
        search=sustainable,
        warm_up=warm_up,
        boundaries=boundaries,
    )
    session = Session(part=part, effort=effort, only=only, out=out, console=console, boundary_seconds=interval)
    if part is not Part.PAGE:
        measure(session, workload)
    sys.exit(0 if report(out, rate, WORKLOADS[workload].describes, console) else 1)


def measure(session: Session, workload: str) -> None:
    """Start the services, train the model, and run what was asked for."""
    prepare_mlflow()
    with (
        scratch_folder("latency") as folder,
        services(folder, jars(HOME).broker, os.environ) as running,
    ):
        session.console.print("training the model", highlight=False)
        model = train_apart(WORKLOADS[workload], running.tracking_uri, folder)
        bench = Bench(
            bootstrap=running.bootstrap_servers,
            workload=workload,
            model=model,
            folder=folder / "runs",
            broker=running.processes[0].pid,
        )
        session.measure(bench)
        if session.part is not Part.PEERS and (not session.only or "swap" in session.only):
            (session.out / "raw" / "swap.json").write_text(json.dumps(swap.measure(bench, session.boundary_seconds)))
    (session.out / "machine.json").write_text(json.dumps(describe(jars(HOME))))


def report(out: Path, rate: int, workload: str, console: Console) -> bool:
    """Write the two files of numbers and the page from what is kept; return whether every system has a run."""
    live, peers = (_summaries(out, part) for part in (Part.LIVE, Part.PEERS))
    swap_file = out / "raw" / "swap.json"
    swapped = json.loads(swap_file.read_text()) if swap_file.exists() else {}
    machine = json.loads((out / "machine.json").read_text())
    if live:
        numbers = {summary.key: live_numbers(summary, rate) for summary in live}
        numbers |= {name: value for name, value in swapped.items() if not name.endswith("latencies_us")}
        (out / "live.json").write_text(json.dumps({**numbers, "rate": rate, "machine": machine}, indent=1))
    if peers:
        (out / "peers.json").write_text(
            json.dumps([peer_numbers(summary, rate) for summary in (*live, *peers)], indent=1)
        )
    path = write_page(
        Measured(systems=[*live, *peers], rate=rate, machine=machine, workload=workload, swap=swapped), out
    )
    console.print(f"All of it is in {path}.", highlight=False)
    return all(summary.runs for summary in (*live, *peers))


def _summaries(out: Path, part: Part) -> list[Summary]:
    paths = sorted((out / "raw").glob(f"{part.value}-*.json"))
    return summarise(json.loads(path.read_text()) for path in paths)


def _line(result: Result) -> str:
    parts = [f"run {result.number}: {result.system:16}"]
    parts += [_numbers(stage) for stage in result.stages if stage["kind"] != "start"]
    return "  ".join(parts) + "".join(f"\n  does not count: {problem}" for problem in result.problems)


def _numbers(stage: dict[str, Any]) -> str:
    if stage["kind"] == "drain":
        return f"{stage['eps'] or 0:>9,.0f} events/s"
    if stage["kind"] == "step":
        return f"{stage['rate']:,} {'sustained' if stage['sustained'] else 'too much'}"
    latency = stage["latency_ms"]
    return f"at {stage['rate']:,}: p50 {latency['p50']} p99 {latency['p99']} max {latency['max']} ms"


if __name__ == "__main__":
    typer.run(main)
