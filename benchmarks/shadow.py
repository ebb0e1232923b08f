"""What a shadow costs the champion: its latency with ``penstock shadow run`` beside it, and without, in turn.

The exact engine follows one load after another, every second one with the shadow of a rollout's first step at work. It
does so twice: with a core for the shadow alone and all else on another, which is how to run it, and with every core
shared by all. ``make bench-shadow`` runs it and writes build/bench/shadow.json. The ratios are those of loads that
follow each other.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import typer
import yaml
from rich.console import Console

from benchmarks.latency.model import train_apart
from benchmarks.latency.penstock_systems import PenstockSystem
from benchmarks.latency.run import follow, start_on_backlog
from benchmarks.latency.stages import Evidence, Load, followed
from benchmarks.latency.swap import registered_again
from benchmarks.latency.tree import usage
from benchmarks.latency.trial import Bench, Trial, trial
from benchmarks.latency.workloads import WORKLOADS
from benchmarks.scratch import HOME, scratch_folder
from jobs.wiring.jars import jars
from jobs.wiring.mlflow_client import prepare_mlflow
from streaming.errors import SetupError
from streaming.local.processes import ManagedProcess
from streaming.local.services import services

TARGET = Path("build/bench/shadow.json")
BACKLOG = 20_000
WARM_UP = 12.0
"""Seconds that do not count: a shadow that starts imports and loads for some of them."""
PERCENTILES = ("p50", "p99")
NEVER_ENOUGH = {"labelled days": 10_000}
"""Evidence of a step that lasts as long as the benchmark."""


def main(rate: int = 1_000, seconds: float = 20.0, rounds: int = 3) -> None:
    """Measure, print and write build/bench/shadow.json."""
    console, cores = Console(), sorted(os.sched_getaffinity(0))
    load = Load(rate, seconds, WARM_UP)
    result: dict[str, Any] = {"rate": rate, "seconds": seconds, "rounds": rounds, "cores": len(cores)}
    if len(cores) > 1:
        result["own_core"] = measured(load, rounds, cores[:-1], cores[-1:])
        console.print("the shadow on a core of its own", result["own_core"])
    result["shared_cores"] = measured(load, rounds, cores, cores)
    console.print("the shadow on the same cores", result["shared_cores"])
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(result, indent=1) + "\n")


def measured(load: Load, rounds: int, cores: Sequence[int], shadow_cores: Sequence[int]) -> dict[str, Any]:
    """Return both latencies of each round and the median of their ratios.

    Args:
        load: what is sent with a shadow, and without.
        rounds: how often.
        cores: of everything but the shadow.
        shadow_cores: the shadow's.
    """
    with on_cores(cores), exhibit() as (bench, younger), trial(bench, PenstockSystem("exact"), "champion") as running:
        start_on_backlog(running, BACKLOG)
        declare(running, younger)
        took = []
        for _ in range(rounds):
            follow(running, load)
            with on_cores(shadow_cores):
                shadow = start_shadow(running)
            took.append(_cpu_of_shadow(running, shadow, load))
        latencies = percentiles(running, load)
    pairs = list(zip(latencies[::2], latencies[1::2], strict=True))
    return {
        "without_ms": [without for without, _ in pairs],
        "with_ms": [beside for _, beside in pairs],
        "ratio": {
            name: statistics.median(beside[name] / without[name] for without, beside in pairs) for name in PERCENTILES
        },
        "shadow_cpu_us_per_event": round(statistics.median(took)),
    }


def percentiles(running: Trial, load: Load) -> list[dict[str, float]]:
    """Return the percentiles of each load, in ms; raises ``SetupError`` where an event has no prediction."""
    arrivals, expected = running.arrivals(), np.load(running.bench.model / "expected.npy")
    made = []
    for feed, fed in running.fed[1:]:
        numbers = followed(Evidence(feed, fed, arrivals.of(feed.first, feed.events), expected), load)
        if numbers["missing"] or numbers["duplicates"]:
            raise SetupError(f"{numbers['missing']} predictions are missing, {numbers['duplicates']} came twice")
        made.append({name: numbers["latency_ms"][name] for name in PERCENTILES})
    return made


def declare(running: Trial, version: str) -> None:
    """Start a rollout whose first step is a shadow, and wait until the job is in it."""
    plan = running.wiring.folder / "rollout.yaml"
    step = {"evidence": NEVER_ENOUGH}
    plan.write_text(yaml.safe_dump({"version": int(version), "steps": [{"share": 0, **step}], "probation": step}))
    penstock(running, "rollout", "plan", "--in", str(plan))
    penstock(running, "rollout", "start")
    deadline = time.monotonic() + 60
    while json.loads(penstock(running, "rollout", "status", "--json", "-"))["phase"] != "step":
        if time.monotonic() > deadline:
            raise SetupError(f"the job does not follow the rollout. The end of its log:\n{_process(running).tail()}")


def penstock(running: Trial, *arguments: str) -> str:
    """Run a verb with the champion's settings and return what it prints; raises ``SetupError`` if it fails."""
    command = [sys.executable, "-m", "penstock", *arguments, "-c", str(running.wiring.folder / "penstock.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def start_shadow(running: Trial) -> ManagedProcess:
    """Start a shadow beside the champion."""
    config = running.wiring.folder / "penstock.yaml"
    command = [sys.executable, "-m", "penstock", "shadow", "run", "-c", str(config)]
    log = running.wiring.folder / f"shadow-{len(running.fed)}.log"
    return ManagedProcess("shadow", command, log=log, environment=os.environ, grace=30.0)


def _cpu_of_shadow(running: Trial, shadow: ManagedProcess, load: Load) -> float:
    """Follow the load beside the shadow and stop that; return the microseconds of CPU that it took for each event."""
    halfway: list[float] = []

    def note() -> None:
        # What it took to start and load would count otherwise.
        halfway.append(usage(shadow.pid).cpu_seconds)

    try:
        follow(running, replace(load, halfway=note))
        seconds = usage(shadow.pid).cpu_seconds - halfway[0]
    finally:
        ended = shadow.stop()
    if ended != 0:
        raise SetupError(f"the shadow ended with code {ended}. The end of its log:\n{shadow.tail()}")
    return seconds / (load.rate * load.seconds / 2) * 1e6


def _process(running: Trial) -> ManagedProcess:
    if running.process is None:
        raise SetupError("the champion was not started")
    return running.process


@contextmanager
def exhibit() -> Iterator[tuple[Bench, str]]:
    """Yield services with a champion, and the number of a version that was made of the same files."""
    prepare_mlflow()
    with scratch_folder("shadow") as folder, services(folder, jars(HOME).broker, os.environ) as running:
        model = train_apart(WORKLOADS["flights"], running.tracking_uri, folder)
        bench = Bench(running.bootstrap_servers, "flights", model, folder / "runs", running.processes[0].pid)
        yield bench, registered_again(model)


@contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Let what is started in the block run on these cores alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


if __name__ == "__main__":
    typer.run(main)
