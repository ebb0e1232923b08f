"""What a run consists of, for how long, and in which order systems take turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.latency.stages import Load
from benchmarks.latency.system import System, interval_seconds

BOUNDARIES = 11
"""The live engine pauses at each of its batches' boundaries; all its runs together have so many, or more."""
FAST_RATE = 5_000
WARM_UP = 20.0
"""Seconds at the common rate that do not count: on two cores, a JVM needs as long to compile what a load runs. After
ten the exact engine was seen to be still at it."""
VALUES = 3
"""Of each percentile, at least."""
SLOW = {"spark-udf": 20}
"""Systems that would take minutes for the common burst, and for backlog; they get this part of both."""


@dataclass(frozen=True)
class Plan:
    """What one run does, in this order.

    Attributes:
        backlog: Events that are there when the system starts, which it warms up with.
        loads: One after the other.
        burst: Events all at once: how fast they are worked off is the throughput.
        search: Whether to look for the highest sustainable rate, which takes minutes.
    """

    backlog: int
    loads: tuple[Load, ...] = ()
    burst: int = 0
    search: bool = False


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rate: Events per second.
        seconds: Of each load; at 5,000 events/s it is at most four. An engine's that pauses are longer.
        backlog: Events that are there when a system starts.
        burst: Events that come all at once, for the throughput.
        runs: Of our engines and Spark's micro-batch; the system is started anew for each. If they are fewer than
            :data:`VALUES`, a load is longer, and cut into as many windows as it takes.
        peer_runs: Of the peers, whose load is cut without being longer.
        search: Whether each system's first run ends with the search for its highest sustainable rate.
        warm_up: Seconds at the common rate that do not count.
        boundaries: Of the live engine's batches, in all its runs together.
    """

    rate: int = 1_000
    seconds: float = 8.0
    backlog: int = 20_000
    burst: int = 100_000
    runs: int = 3
    peer_runs: int = 1
    search: bool = False
    warm_up: float = WARM_UP
    boundaries: int = BOUNDARIES


def plan(system: System, number: int, effort: Effort) -> Plan:
    """Return what run ``number`` (from 1) of one of our engines or of Spark's is: at the common rate, then at 5,000.

    No run of an engine that pauses is spared its pauses, at either rate.
    """
    interval = interval_seconds(system)
    boundaries, windows = -(-effort.boundaries // effort.runs), -(-VALUES // effort.runs)
    usual_seconds = max(effort.seconds * windows, boundaries * interval)
    fast_seconds = max(min(effort.seconds, 4.0) * windows, 1.25 * interval)
    usual = Load(effort.rate, usual_seconds, effort.warm_up, windows)
    fast = Load(FAST_RATE, fast_seconds, max(4.0, effort.warm_up / 4), windows)
    loads = (usual, *([fast] if effort.rate != FAST_RATE else []))
    return Plan(effort.backlog, loads, effort.burst, effort.search and number == 1)


def peer_plan(system: System, number: int, effort: Effort) -> Plan:
    """Return what run ``number`` of a peer is."""
    load = Load(effort.rate, effort.seconds, windows=-(-VALUES // effort.peer_runs))
    part = SLOW.get(system.name, 1)
    return Plan(effort.backlog // part, (load,), effort.burst // part, effort.search and number == 1)


def rotated(systems: Sequence[System], number: int) -> list[System]:
    """Return the order of run ``number``: no system always follows the same one's heat and cache."""
    at = (number - 1) % len(systems) if systems else 0
    return [*systems[at:], *systems[:at]]
