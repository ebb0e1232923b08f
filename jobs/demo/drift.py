"""The demonstration's drift: the stream's weeks against what each version learnt from."""

from __future__ import annotations

from contextlib import ExitStack

from pyspark.sql import SparkSession
from rich.console import Console

from jobs.configuration.load import load_settings
from jobs.demo.rig import Rig
from jobs.verbs.drift.report import read_report
from jobs.wiring.drift import drift_query, prepare_topics
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.drift.report.facts import Report
from streaming.drift.report.options import DriftReportOptions
from streaming.operations.drift_metrics import DriftMetrics


def find_drift(rig: Rig, spark: SparkSession) -> Report:
    """Do what `penstock drift run --once` and `penstock drift report` do, in a session that is there already."""
    settings = load_settings(rig.config, [])
    prepare_topics(settings, KafkaAdmin(settings.kafka, settings.application))
    with ExitStack() as stack:
        drift_query(settings, spark, DriftMetrics(), stack).run_once()
    return read_report(settings, None, DriftReportOptions())


def show_drift(report: Report, console: Console) -> None:
    """Print a line for each version: what moved, the first mover first."""
    for version in sorted(report.versions, key=lambda version: version.version):
        console.print(
            f"Drift of v{version.version} over {len(version.windows)} weeks: {version.answer.sentence}",
            highlight=False,
        )
