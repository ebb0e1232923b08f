"""Which systems are measured, and what measures a swap."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from benchmarks.latency import spark_systems
from benchmarks.latency.system import System
from benchmarks.latency.trial import Bench

Swap = Callable[[Bench], dict[str, Any]]


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


def _listed(module: str) -> list[System]:
    if find_spec(module) is None:
        return []
    found: list[System] = import_module(module).systems()
    return found
