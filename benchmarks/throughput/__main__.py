"""Events per second: the exact engine, Spark, copies and peers, in turn, on one topic of waiting flights.

``make bench-throughput`` runs it and writes build/bench/throughput.json. Systems on Spark are timed by their batches,
from the one that follows the warm-up; peers by the topic that they write, from a fifth of the events on. A burst is all
of the events, the warm-up among them. ``plain`` is what a user would write with Spark alone: ``from_json``,
``transform``, ``to_json`` and Spark's sink, without headers and without strictness. Peers that are not installed are
left out; ``make bench-peers`` installs them. Those named ``arms`` have a second version, to which a quarter of the
events goes, as in a rollout. ``--only compiled,compiled_arms`` runs those on Spark alone that it names, in that order.
``--profile`` also writes the top frames of each system on Spark to build/bench/profiles, which costs some of its speed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.throughput.parity import differences
from benchmarks.throughput.peers import measure_peer, peer, peer_model
from benchmarks.throughput.setting import Rates, Setting, stage
from benchmarks.throughput.spark_systems import RUN, measured, spark_session
from streaming.models.ref import ModelVersion

TARGET = Path("build/bench/throughput.json")
FIGURES = {"native": "native_sink_eps", "quix-eos": "quix_eps"}
"""The names of figures that are not the system's own."""
PEERS = ("quix-eos", "bytewax")


def main(
    events: int = 500_000,
    rows_per_batch: int = 100_000,
    partitions: int = 2,
    parity: bool = True,
    only: str = "",
    profile: bool = False,
) -> None:
    """Measure, print and write build/bench/throughput.json."""
    console = Console()
    with stage(events, rows_per_batch, partitions, console, candidate=True) as (setting, version):
        rates = dict(_on_spark(setting, only.split(",") if only else list(RUN), console, profile))
        peers = {} if only else dict(_peers(setting, version, console))
        compared = {}
        if parity:
            with spark_session(setting.settings("parity")) as spark:
                compared = differences(setting, spark)
    rates |= {name: fastest for name, (fastest, _) in peers.items()}
    result = {
        **{FIGURES.get(name, f"{name}_eps"): round(rate.steady) for name, rate in rates.items()},
        "burst_eps": {name: round(rate.burst) for name, rate in rates.items()},
        "quix_processes": peers["quix-eos"][1] if "quix-eos" in peers else None,
        # Nothing was compared is not that nothing differs.
        "label_mismatches": sum(d.label_mismatches for d in compared.values()) if compared else None,
        "max_relative_difference": max((d.max_relative_difference for d in compared.values()), default=None),
        "parity": {kind: asdict(difference) for kind, difference in compared.items()},
        "events": events,
        "rows_per_batch": rows_per_batch,
        "partitions": partitions,
        "cores": os.cpu_count(),
    }
    show(rates, console)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(result, indent=1) + "\n")


def show(rates: Mapping[str, Rates], console: Console) -> None:
    """Print what was measured, each beside the engine's compiled form."""
    table = Table(title="Events per second")
    for heading in ("", "steady", "burst", "compiled to it"):
        table.add_column(heading, justify="left" if not heading else "right")
    ours = rates["compiled"].steady if "compiled" in rates else math.nan
    for name, rate in rates.items():
        table.add_row(name, f"{rate.steady:,.0f}", f"{rate.burst:,.0f}", f"{ours / rate.steady:.2f}")
    console.print(table)


def _on_spark(setting: Setting, kinds: list[str], console: Console, profile: bool) -> Iterator[tuple[str, Rates]]:
    for kind in kinds:
        rates = measured(setting, kind, profiled=profile)
        _say(console, kind, rates)
        yield kind, rates


def _peers(setting: Setting, version: ModelVersion, console: Console) -> Iterator[tuple[str, tuple[Rates, int]]]:
    """Yield each peer's rates with the number of processes that was the fastest."""
    installed = [name for name in PEERS if peer(name) is not None]
    model = peer_model(setting, version) if installed else Path()
    for name in installed:
        tried = {}
        for processes in range(1, setting.partitions + 1):
            tried[processes] = measure_peer(setting, name, model, processes)
            _say(console, f"{name}, {processes} processes", tried[processes])
        fastest = max(tried, key=lambda processes: tried[processes].steady)
        yield name, (tried[fastest], fastest)


def _say(console: Console, name: str, rates: Rates) -> None:
    console.print(f"{name:24}{rates.steady:>10,.0f} events/s", highlight=False)


if __name__ == "__main__":
    typer.run(main)
