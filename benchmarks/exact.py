"""The exact engine against Spark's own Kafka sink: the same events, model, decoding, validation, envelope and headers.

Spark's sink is at least once, so the ratio is what exactly-once costs. The copy, Kafka to Kafka without scoring, is the
limit that this machine's Spark sets. The engine runs as a job does, with the compiled form, and with Spark's pipeline.
All run in turn, several times, in one process; a query's first batches, where the JVM still compiles, are left out.
``make bench-exact`` runs it and writes build/bench/exact.json.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.throughput.setting import Setting, stage
from benchmarks.throughput.spark_systems import measured

SYSTEMS = {
    "compiled": "exact engine",
    "spark": "exact engine by Spark's pipeline",
    "native": "Spark's sink, at least once",
    "copy": "copy, no scoring",
}


def measure(setting: Setting, rounds: int, console: Console) -> Iterator[dict[str, float]]:
    """Yield each round's rates in events per second."""
    for number in range(1, rounds + 1):
        rates = {}
        for kind in SYSTEMS:
            rates[kind] = measured(setting, kind).steady
            console.print(f"round {number}: {kind:9}{rates[kind]:>10,.0f} events/s", highlight=False)
        yield rates


def main(events: int = 1_400_000, rows_per_batch: int = 200_000, partitions: int = 2, rounds: int = 3) -> None:
    """Measure, print and write build/bench/exact.json."""
    console = Console()
    with stage(events, rows_per_batch, partitions, console) as (setting, _):
        measured = list(measure(setting, rounds, console))
    report(measured, setting, console)


def report(measured: list[dict[str, float]], setting: Setting, console: Console) -> None:
    """Print the medians and write them; the ratio is the median of each round's own."""
    median = {kind: statistics.median(rates[kind] for rates in measured) for kind in SYSTEMS}
    ratio = statistics.median(rates["compiled"] / rates["native"] for rates in measured)
    result = {f"{kind}_eps": round(median[kind]) for kind in SYSTEMS} | {
        "ratio": round(ratio, 3),
        "compiled_to_spark": round(statistics.median(rates["compiled"] / rates["spark"] for rates in measured), 3),
        "rounds": [{kind: round(rate) for kind, rate in rates.items()} for rates in measured],
        "events": setting.events,
        "rows_per_batch": setting.rows_per_batch,
        "partitions": setting.partitions,
        "cores": os.cpu_count(),
    }
    table = Table(title=f"Exactly once at {ratio:.2f} of Spark's own sink")
    table.add_column("")
    table.add_column("events/s", justify="right")
    for kind, text in SYSTEMS.items():
        table.add_row(text, f"{median[kind]:,.0f}")
    console.print(table)
    target = Path("build/bench/exact.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
