"""``penstock demo``: train on flights, score a season of them from Kafka, swap the model on the way, report."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession
from rich.console import Console

from jobs.configuration.load import load_settings
from jobs.demo.display import Display
from jobs.demo.drift import find_drift, show_drift
from jobs.demo.report import show, write_summary
from jobs.demo.results import Results
from jobs.demo.rig import ALIAS, MODEL, Rig, scoring_job
from jobs.demo.stage import demo_stage
from jobs.demo.stream import RATE, Streaming
from jobs.verbs.train.run import train_version
from streaming.drift.report.output import write_page
from streaming.errors import InvariantError
from streaming.training import flights
from streaming.training.record import TrainedVersion

SUMMARY, PAGE = Path("build/demo/summary.json"), Path("build/demo/drift.html")
SINCE, UNTIL = datetime(2013, 4, 1, tzinfo=timezone.utc), datetime(2013, 8, 1, tzinfo=timezone.utc)


def demo(home: Path, until: datetime = UNTIL) -> None:
    """Run the demonstration below ``home``; under three minutes on two processors, after the downloads.

    The stream is the departures from April up to but not including ``until``.

    Raises:
        InvariantError: an event was lost or came out twice.
        PenstockError: a service or the job failed; the message has the end of its log.
    """
    console = Console()
    with demo_stage(home, SUMMARY.parent, console) as stage:
        rig, spark, display = stage.rig, stage.spark, stage.display
        display.say(f"Kafka at {rig.services.bootstrap_servers}, MLflow at {rig.services.tracking_uri}")
        results = _perform(rig, spark, display, flights.between(SINCE, until))
        display.say("comparing the stream with what the models learnt from, week by week: penstock drift run --once")
        drift = find_drift(rig, spark)
    show(results, console)
    show_drift(drift, console)
    write_page(drift, PAGE)
    write_summary(results, drift, SUMMARY)
    console.print(f"The drift report, to look at in a browser, is {PAGE}.", highlight=False)
    console.print(f"The numbers are in {SUMMARY}; logs and data are in {home / 'demo'}.", highlight=False)
    if not results.account.balanced:
        account = results.account
        raise InvariantError(
            f"{account.missing} events are missing, {account.duplicates} came twice and {account.unexpected} were never"
            f" published; look at {rig.folder / 'score.log'}"
        )


def _perform(rig: Rig, spark: SparkSession, display: Display, table: pd.DataFrame) -> Results:
    display.say("training v1 on the departures of January to March 2013")
    first = _train(rig, spark, display, ["train.to_time=2013-04-01", f"train.alias={ALIAS}"])
    display.say(f"{first.version} registered, AUC {first.metrics['auc']:.2f} on later days")
    display.say("starting the scoring job: penstock score --config penstock.yaml")
    with scoring_job(rig) as job:
        display.say(f"publishing {len(table):,} departures at {RATE:,} events/s, some broken")
        months = ["train.from_time=2013-03-01", "train.to_time=2013-05-01"]
        stream = Streaming(
            rig=rig,
            job=job,
            display=display,
            table=table,
            train=lambda: _train(rig, spark, display, months),
            cancel=spark.sparkContext.cancelAllJobs,
        )
        return stream.run()


def _train(rig: Rig, spark: SparkSession, display: Display, overrides: list[str]) -> TrainedVersion:
    settings = load_settings(rig.config, [f"model.name={MODEL}", *overrides])
    return train_version(settings, spark, display.detail)
