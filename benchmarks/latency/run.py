"""One run of a system: it warms up on a backlog, follows loads on schedule, and works off a burst, its throughput."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np

from benchmarks.latency.plan import Plan
from benchmarks.latency.stages import Evidence, Load, drained, followed, problems
from benchmarks.latency.sustainable import find
from benchmarks.latency.system import System, interval_seconds
from benchmarks.latency.tree import usage
from benchmarks.latency.trial import PARTITIONS, Bench, Trial, trial
from streaming.clock import isoformat
from streaming.errors import PenstockError

Numbers = dict[str, Any]


@dataclass
class Result:
    """What one run of one system gave: its stages' numbers, in order, and why they do not count, if so.

    ``interval_seconds`` lie between the boundaries of an engine that pauses there.
    """

    system: str
    version: str
    delivery: str
    workload: str
    number: int
    began: str
    partitions: int = PARTITIONS
    interval_seconds: float = 0.0
    stages: list[Numbers] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> Numbers:
        """Return it as it is kept."""
        return asdict(self)


def run(bench: Bench, system: System, plan: Plan, number: int) -> Result:
    """Run one system once; what goes wrong is in the result."""
    began = isoformat(datetime.now(timezone.utc))
    result = Result(
        system=system.name,
        version=system.version,
        delivery=system.delivery,
        workload=bench.workload,
        number=number,
        began=began,
        interval_seconds=interval_seconds(system),
    )
    try:
        _measure(bench, system, plan, result)
    except (PenstockError, TimeoutError) as error:
        result.problems.append(str(error))
    return result


def _measure(bench: Bench, system: System, plan: Plan, result: Result) -> None:
    with trial(bench, system, f"{system.name}-{result.number}-{time.time_ns() // 10**6}") as running:
        done: list[tuple[Load | None, Numbers]] = [(None, start_on_backlog(running, plan.backlog))]
        done += [(load, follow(running, load)) for load in plan.loads]
        done += [(None, _burst(running, plan.burst))] if plan.burst else []
        done += find(running) if plan.search else []
        arrivals = running.arrivals()
    expected = np.load(bench.model / "expected.npy")
    for (feed, fed), (load, more) in zip(running.fed, done, strict=True):
        evidence = Evidence(feed, fed, arrivals.of(feed.first, feed.events), expected)
        result.stages.append((drained(evidence) if load is None else followed(evidence, load)) | more)
    for step in result.stages:
        if step["kind"] == "step":
            del step["latencies_us"]  # ten seconds at a hundred thousand a second
    scores = "copy" not in (bench.workload, *system.name.split("-"))
    for stage in result.stages:
        result.problems += problems(stage, scores=scores)


def start_on_backlog(running: Trial, backlog: int) -> Numbers:
    """Start the system on events that are there already, and wait until it has worked them off."""
    with running.feeding(backlog, 0):
        pass
    running.start()
    running.settle()
    return {"kind": "start"}


def _burst(running: Trial, events: int) -> Numbers:
    """Send events as fast as it goes, and wait until they are worked off."""
    with running.feeding(events, 0):
        pass
    running.settle()
    return {"kind": "drain"}


def follow(running: Trial, load: Load) -> Numbers:
    """Send the load; return what the system has taken of the machine from the end of the warm-up on."""
    process = running.process
    if process is None:
        raise RuntimeError("the system has not been started")
    observed = {"system": process.pid, "broker": running.bench.broker, "reader": running.reader.process.pid}
    with running.feeding(load.events, load.rate):
        time.sleep(load.warm_up)
        before, began = {name: usage(pid) for name, pid in observed.items() if pid}, time.monotonic()
        if load.halfway is not None:
            time.sleep(load.seconds / 2)
            load.halfway()
    seconds, after = time.monotonic() - began, {name: usage(observed[name]) for name in before}
    running.settle()
    cores = {name: (after[name].cpu_seconds - before[name].cpu_seconds) / seconds for name in before}
    cores["feeder"] = running.fed[-1][1].cpu_seconds / (load.events / load.rate)
    return {
        "cores": round(cores["system"], 3),
        "cores_of_all": {name: round(share, 3) for name, share in cores.items()},
        "cpu_us_per_event": round(cores["system"] / load.rate * 1e6, 1),
        "rss_bytes": after["system"].rss_bytes,
    }
