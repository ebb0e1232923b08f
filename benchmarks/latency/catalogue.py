"""Which systems are measured, for how long, and at which rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from benchmarks.latency import spark_systems
from benchmarks.latency.run import Plan
from benchmarks.latency.stages import Load
from benchmarks.latency.system import System
from benchmarks.latency.trial import Bench

BOUNDARIES = 11
"""The live engine pauses at each of its batches' boundaries; its first run has so many of them."""
FAST_RATE = 5_000
SLOW = {"spark-udf": 20_000}
"""Systems that would take minutes for the common backlog, and the backlog that they get."""

Swap = Callable[[Bench], dict[str, Any]]


@dataclass(frozen=True)
class Effort:
    """How much is measured: events/s, seconds of each load, events of the backlog, runs of each system.

    With ``search`` each system's first run ends with the search for its highest sustainable rate.
    """

    rate: int = 1_000
    seconds: float = 12.0
    backlog: int = 100_000
    runs: int = 3
    search: bool = False


def live_systems() -> list[System]:
    """Return our engines and Spark's micro-batch."""
    return [*_listed("benchmarks.latency.penstock_systems"), *spark_systems.systems()]


def peer_systems() -> list[System]:
    """Return the peers that are installed here."""
    return _listed("benchmarks.peers.systems")


def swap_measurement() -> Swap | None:
    """Return what measures a swap of the live engine: keys of ``live.json`` that begin with ``swap_``."""
    name = "benchmarks.latency.swap"
    if find_spec(name) is None:
        return None
    found: Swap = import_module(name).measure
    return found


def plan(system: System, number: int, effort: Effort, *, fast: bool) -> Plan:
    """Return what run ``number`` (from 1) of a system is: a run at the common rate and, if ``fast``, one at 5,000."""
    interval: float = getattr(system, "interval_seconds", 0.0)
    seconds = max(effort.seconds, BOUNDARIES * interval) if number == 1 else effort.seconds
    loads: Sequence[Load] = [Load(effort.rate, seconds)]
    if fast and effort.rate != FAST_RATE:
        loads = [*loads, Load(FAST_RATE, min(effort.seconds, 8.0))]
    return Plan(min(effort.backlog, SLOW.get(system.name, effort.backlog)), tuple(loads), effort.search and number == 1)


def rotated(systems: Sequence[System], number: int) -> list[System]:
    """Return the order of run ``number``: no system always follows the same one's heat and cache."""
    at = (number - 1) % len(systems) if systems else 0
    return [*systems[at:], *systems[:at]]


def _listed(module: str) -> list[System]:
    if find_spec(module) is None:
        return []
    found: list[System] = import_module(module).systems()
    return found
