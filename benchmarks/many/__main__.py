"""Many models in one job: 1, 10, 100 and 1,000, with events spread evenly over them, beside a job with one model.

``make bench-many`` runs it and writes build/bench/many.json. One pipeline is trained and registered under all names;
each job runs in a process of its own, with a cache of its own. Throughput is that of steady batches over a topic of
waiting events, as in ``benchmarks/throughput``. The latency is from a record's timestamp to its commit, under a steady
load that follows. A swap is from moving one model's alias to the table that has it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import typer
from mlflow import MlflowClient
from rich.console import Console
from rich.table import Table

from benchmarks.many.job import ManySetting, alias_of, model_name, topic_of
from benchmarks.scratch import HOME, scratch_folder
from jobs.verbs.train.run import SPARK_LOG, train_version
from jobs.wiring.jars import jars
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.session import session
from streaming.accounting.load import Publisher
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.local.services import services
from streaming.models.ref import ModelVersion
from streaming.settings import Settings
from streaming.training.flights import between, events

TARGET = Path("build/bench/many.json")
SHARES = {100: 0.8, 1_000: 0.5}
"""The least share of one model's throughput by the number of models."""
MOST_BYTES = 4 * 1024**3


def main(
    models: str = "1,10,100,1000", events: int = 600_000, rows_per_batch: int = 200_000, partitions: int = 2
) -> None:
    """Measure, print and write build/bench/many.json."""
    console = Console()
    prepare_mlflow()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    numbers = [int(number) for number in models.split(",")]
    with scratch_folder("many") as folder, services(folder, jars(HOME).broker, os.environ) as running:
        setting = ManySetting(
            servers=running.bootstrap_servers,
            tracking_uri=running.tracking_uri,
            folder=str(folder),
            events=events,
            rows_per_batch=rows_per_batch,
            partitions=partitions,
        )
        register(setting, trained(setting, console), max(numbers), console)
        results = dict(_measured(setting, numbers, console))
    report = judged(results)
    show(report, console)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    machine = {"events": events, "rows_per_batch": rows_per_batch, "partitions": partitions, "cores": os.cpu_count()}
    TARGET.write_text(json.dumps({"models": report, **machine}, indent=1) + "\n")


def trained(setting: ManySetting, console: Console) -> ModelVersion:
    """Train one version on the first quarter of the flights."""
    model = {"tracking_uri": setting.tracking_uri}
    settings = Settings.model_validate({"model": model, "train": {"to_time": "2013-04-01", "alias": "champion"}})
    with session(settings, "penstock-train", SPARK_LOG) as spark:
        return train_version(settings, spark, console.print).version


def register(setting: ManySetting, version: ModelVersion, most: int, console: Console) -> None:
    """Register the version's files once more under each name."""
    client = MlflowClient(setting.tracking_uri, setting.tracking_uri)

    def register_one(number: int) -> None:
        name = model_name(number)
        client.create_registered_model(name)
        made = client.create_model_version(name, version.source, version.run_id, tags=version.tags)
        client.set_registered_model_alias(name, alias_of(), made.version)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(register_one, range(most)))
    console.print(f"{most} models are registered")


def fill(setting: ManySetting, models: int) -> None:
    """Send flights of as many tenants, spread evenly over tenants and partitions."""
    admin = KafkaAdmin({"bootstrap.servers": setting.servers}, "bench")
    admin.ensure_topic(topic_of(models), setting.partitions, {"retention.ms": "-1"})
    table = between(datetime(2013, 4, 1, tzinfo=timezone.utc), datetime(2013, 8, 1, tzinfo=timezone.utc))
    values = [(departure.value, departure.key) for departure in events(table)]
    filler = Publisher(setting.servers, topic_of(models), **{"linger.ms": 50})
    for number, (value, key) in enumerate(islice(cycle(values), setting.events)):
        # The tenant does not go round with the partition, or each partition would have half of the models.
        tenant = (number // setting.partitions) % models
        filler.send(b'%b,"tenant":"%04d"}' % (value[:-1], tenant), key, partition=number % setting.partitions)
    filler.finish()


def _measured(setting: ManySetting, numbers: list[int], console: Console) -> Iterator[tuple[str, dict[str, Any]]]:
    for models in (0, *numbers):
        fill(setting, max(models, 1)) if models != 1 else None
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.many.job", setting.to_json(), str(models)],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
        console.print(f"{models or 'one, without a rule'}: {result}", highlight=False)
        yield str(models) if models else "single", result


def judged(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Add each one's share of one model's throughput, and whether it is what it has to be."""
    single = results["single"]["eps"]
    for name, result in results.items():
        result["share"] = round(result["eps"] / single, 3)
        least = SHARES.get(int(name), 0.0) if name.isdigit() else 0.0
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
