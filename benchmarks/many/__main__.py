"""Many models in one job: 1, 10, 100 and 1,000, with events spread evenly over them, beside a job with one model.

``make bench-many`` runs it and writes build/bench/many.json. One pipeline is trained, and its files are registered
under all names. Each job runs in a process of its own, with a cache of its own. Throughput is that of steady batches
over a topic of waiting events, as in ``benchmarks/throughput``. The latency is from a record's timestamp to its commit,
under a steady load that follows. A swap is from moving one model's alias to the table that has it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from mlflow import MlflowClient
from rich.console import Console
from rich.table import Table

from benchmarks.many.job import ALIAS, ManySetting, model_name, of_tenant, topic_of
from benchmarks.throughput.setting import Trained, departures, fill, trained
from streaming.adapters.mlflow.tracking import MlflowTracker

TARGET = Path("build/bench/many.json")
SINGLE = "single"
SHARES = {100: 0.8, 1_000: 0.5}
"""The least share of one model's throughput by the number of models."""
MOST_BYTES = 4 * 1024**3


def main(
    models: str = "1,10,100,1000", events: int = 1_400_000, rows_per_batch: int = 200_000, partitions: int = 2
) -> None:
    """Measure, print and write build/bench/many.json."""
    console = Console()
    numbers = [int(number) for number in models.split(",")]
    with trained("many", console) as made:
        setting = ManySetting(
            servers=made.services.bootstrap_servers,
            tracking_uri=made.services.tracking_uri,
            folder=str(made.folder),
            events=events,
            rows_per_batch=rows_per_batch,
            partitions=partitions,
        )
        register(made, max(numbers))
        console.print(f"{max(numbers)} models are registered")
        results = dict(_measured(setting, numbers, console))
    report = judged(results)
    show(report, console)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    machine = {"events": events, "rows_per_batch": rows_per_batch, "partitions": partitions, "cores": os.cpu_count()}
    TARGET.write_text(json.dumps({"models": report, **machine}, indent=1) + "\n")


def register(made: Trained, most: int) -> None:
    """Register the version's files once more under each name.

    They are registered as files of this machine, as if the artifact store were mounted. The server takes such a source
    from nobody, so this goes to its database.
    """
    tracking = made.services.tracking_uri
    (made.folder / "files").mkdir()
    files = MlflowTracker(tracking).download(made.version, made.folder / "files")
    client = MlflowClient(tracking, f"sqlite:///{made.folder}/mlflow/mlflow.db")

    def register_one(number: int) -> None:
        name = model_name(number)
        client.create_registered_model(name)
        version = client.create_model_version(name, str(files), tags=made.version.tags, await_creation_for=0)
        client.set_registered_model_alias(name, ALIAS, version.version)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(register_one, range(most)))


def _measured(setting: ManySetting, numbers: Sequence[int], console: Console) -> Iterator[tuple[str, dict[str, Any]]]:
    for models in (0, *numbers):
        if models != 1:  # the job with one model has had the same events
            tenants = max(models, 1)
            records = departures(setting.events, setting.partitions)
            sent = (replace(record, value=of_tenant(record, setting, tenants)) for record in records)
            fill(setting.servers, topic_of(tenants), setting.partitions, sent)
        command = [sys.executable, "-m", "benchmarks.many.job", setting.to_json(), str(models)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
        console.print(f"{models or 'one, without a rule'}: {result}", highlight=False)
        yield str(models) if models else SINGLE, result


def judged(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add each one's share of one model's throughput, and whether it is what it has to be."""
    single = results[SINGLE]["eps"]
    for name, result in results.items():
        result["share"] = round(result["eps"] / single, 3)
        least = 0.0 if name == SINGLE else SHARES.get(int(name), 0.0)
        result["holds"] = result["share"] >= least and result["peak_rss_bytes"] <= MOST_BYTES
    return results


def show(report: dict[str, dict[str, Any]], console: Console) -> None:
    """Print what was measured."""
    table = Table(title="Many models in one job")
    for heading in ("models", "events/s", "share", "p99 s", "swap s", "load s", "memory MB", "holds"):
        table.add_column(heading, justify="right")
    for name, result in report.items():
        table.add_row(
            name,
            f"{result['eps']:,}",
            f"{result['share']:.2f}",
            f"{result['p99_seconds']:.2f}",
            "" if result["swap_seconds"] is None else f"{result['swap_seconds']:.2f}",
            f"{result['load_seconds']:.1f}",
            f"{result['peak_rss_bytes'] / 1e6:,.0f}",
            "yes" if result["holds"] else "no",
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
