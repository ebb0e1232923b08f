"""What looking columns up costs: one job without, and the same job with two of its columns from a table in a topic.

Both score the same events by the same version, in turn, several times. The aircraft is looked up, by the record's key;
the table has its flights' keys and as many others. ``make bench-lookup`` runs it and writes build/bench/lookup.json.
"""

from __future__ import annotations

import json
import os
import statistics
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import typer
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from benchmarks.throughput.setting import Meter, Setting, stage, stop_when_done
from jobs.process.stopping import StopRequest
from jobs.wiring.scoring import scoring_job
from streaming.accounting.load import Publisher
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.settings import LookupSettings
from streaming.training.flights import between, events

TABLE = "aircraft"
LEAST_SHARE = 0.8
"""The least share of the throughput without a lookup that is good enough."""


def fill_table(setting: Setting, others: int) -> int:
    """Write a record for each aircraft of the events, and for others that no event names; return how many."""
    servers = setting.services.bootstrap_servers
    KafkaAdmin({"bootstrap.servers": servers}, "bench").ensure_topic(TABLE, 2, {"cleanup.policy": "compact"})
    flights = between(datetime(2013, 4, 1, tzinfo=timezone.utc), datetime(2013, 8, 1, tzinfo=timezone.utc))
    latest = {departure.key: json.loads(departure.value) for departure in events(flights)}
    publisher = Publisher(servers, TABLE, **{"linger.ms": 50})
    for key, event in latest.items():
        publisher.send(json.dumps({"distance": event["distance"], "dest": event["dest"]}).encode(), key)
    for number in range(others):
        publisher.send(b'{"distance": 500, "dest": "LAX"}', f"other-{number}")
    publisher.finish()
    return len(latest) + others


def rate(setting: Setting, name: str, lookup: LookupSettings) -> float:
    """Run a job over all events; return its steady events per second."""
    settings = setting.settings(name, "compiled").model_copy(update={"lookup": lookup})
    meter = Meter()
    with scoring_job(settings, StopRequest(None), submitted=False) as job:
        SparkSession.builder.getOrCreate().streams.addListener(meter)
        threading.Thread(target=stop_when_done, args=(lambda: meter.rows(name), setting.events, job.stop)).start()
        job.run()
    return meter.rate(name)


def measure(setting: Setting, rounds: int, console: Console) -> Iterator[dict[str, float]]:
    """Yield each round's rates in events per second."""
    columns = {"distance": {"type": "integer"}, "dest": {"type": "string"}}
    fields = {"topic": TABLE, "columns": columns, "folder": setting.folder / "tables"}
    with_lookup = LookupSettings.model_validate(fields)
    for number in range(1, rounds + 1):
        rates = {
            "without": rate(setting, f"without-{number}", LookupSettings()),
            "with": rate(setting, f"with-{number}", with_lookup),
        }
        console.print(f"round {number}: {', '.join(f'{kind} {eps:,.0f}' for kind, eps in rates.items())} events/s")
        yield rates


def main(
    events: int = 1_400_000, rows_per_batch: int = 200_000, partitions: int = 2, rounds: int = 3, others: int = 100_000
) -> None:
    """Measure, print and write build/bench/lookup.json; exit code 1 if lookups cost more than they may."""
    console = Console()
    with stage(events, rows_per_batch, partitions, console) as (setting, _):
        keys = fill_table(setting, others)
        rounds_measured = list(measure(setting, rounds, console))
    share = statistics.median(rates["with"] / rates["without"] for rates in rounds_measured)
    report = Table(title=f"With a lookup in {keys:,} keys: {share:.2f} of the throughput without")
    report.add_column("")
    report.add_column("events/s", justify="right")
    for kind in ("without", "with"):
        report.add_row(kind, f"{statistics.median(rates[kind] for rates in rounds_measured):,.0f}")
    console.print(report)
    target = Path("build/bench/lookup.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    sizes = {"events": events, "rows_per_batch": rows_per_batch, "partitions": partitions, "keys": keys}
    result = {"share": round(share, 3), "rounds": rounds_measured, **sizes, "cores": os.cpu_count()}
    target.write_text(json.dumps(result, indent=1) + "\n")
    if share < LEAST_SHARE:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
