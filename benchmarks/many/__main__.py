"""Many models in one job: 1, 10, 100 and 1,000, with events spread evenly over them, beside a job with one model.

``make bench-many`` runs it and writes build/bench/many.json. One pipeline is trained, and its files are registered
under all names. Each job runs in a process of its own, with a cache of its own. Throughput is that of steady batches
over a topic of waiting events, as in ``benchmarks/throughput``. The latency is from a record's timestamp to its commit,
under a steady load that follows. A swap is from moving one model's alias to the table that has it. What a batch costs
that touches ten models is measured apart, in the job's own process. Memory is that of the job's processes together.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import typer
from mlflow import MlflowClient
from rich.console import Console
from rich.table import Table

from benchmarks.many.job import ALIAS, TOPIC, ManySetting, model_name, tenant_events
from benchmarks.throughput.setting import Trained, fill, trained
from streaming.adapters.mlflow.tracking import MlflowTracker

TARGET = Path("build/bench/many.json")
SINGLE = "single"
SHARES = {100: 0.8, 1_000: 0.5}
"""The least share of one model's throughput by the number of models."""
MOST_BYTES = 4 * 1024**3


def main(
    models: str = "1,10,100,1000", events: int = 700_000, rows_per_batch: int = 200_000, partitions: int = 2
) -> None:
    """Measure, print and write build/bench/many.json; exit code 1 if many models cost more than they may."""
    console = Console()
    numbers = [int(number) for number in models.split(",")]
    with trained("many", console) as made:
        setting = ManySetting(
            servers=made.services.bootstrap_servers,
            tracking_uri=made.services.tracking_uri,
            folder=str(made.folder),
            tenants=max(numbers),
            events=events,
            rows_per_batch=rows_per_batch,
            partitions=partitions,
        )
        register(made, max(numbers))
        console.print(f"{setting.tenants} models are registered")
        fill(setting.servers, TOPIC, partitions, tenant_events(setting, events, setting.tenants))
        results = dict(_measured(setting, numbers, console))
    report = judged(results)
    show(report, console)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    machine = {"events": events, "rows_per_batch": rows_per_batch, "partitions": partitions, "cores": os.cpu_count()}
    TARGET.write_text(json.dumps({"models": report, **machine}, indent=1) + "\n")
    if not all(result["holds"] for result in report.values()):
        raise typer.Exit(1)


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
    for heading in ("models", "events/s", "share", "p99 s", "swap s", "ten's ms", "load s", "memory MB", "holds"):
        table.add_column(heading, justify="right")
    for name, result in report.items():
        table.add_row(
            name,
            f"{result['eps']:,}",
            f"{result['share']:.2f}",
            _number(result, "p99_seconds"),
            _number(result, "swap_seconds"),
            _number(result, "touching_ten_seconds", 1_000),
            f"{result['load_seconds']:.1f}",
            f"{result['peak_rss_bytes'] / 1e6:,.0f}",
            "yes" if result["holds"] else "no",
        )
    console.print(table)


def _number(result: dict[str, Any], name: str, factor: float = 1) -> str:
    return f"{factor * result[name]:.2f}" if name in result else ""


if __name__ == "__main__":
    typer.run(main)
