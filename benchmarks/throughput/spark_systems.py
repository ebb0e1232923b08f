"""What runs on Spark: the engine with both of its scorers, Spark's sink, what a user would write, and copies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from uuid import uuid4

from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.throughput.profiles import profiling
from benchmarks.throughput.setting import WARM_UP_BATCHES, Meter, Rates, Setting, stop_when_done
from jobs.process.stopping import StopRequest
from jobs.wiring.following import preparation, registry
from jobs.wiring.scoring import scoring_job
from jobs.wiring.topics import prepare_topics
from streaming.adapters.kafka.admin import KafkaAdmin, TopicSample
from streaming.adapters.kafka.config import spark_options
from streaming.adapters.session import SessionPlan, start_session
from streaming.clock import isoformat, system_clock
from streaming.engines.real_time import to_send
from streaming.engines.source import read_stream
from streaming.events.rules import SQL_TYPES
from streaming.models.ref import ModelSelector
from streaming.models.served import ServedModel
from streaming.outputs.envelope import Stamp, envelop
from streaming.outputs.spark_rows import native_records
from streaming.settings import Settings

CANDIDATE_SHARE = 0.25
Run = Callable[[Setting, str, Meter], None]
"""Scores the topic's events into topics of the name's own, and tells the meter."""


def run_exact(
    setting: Setting, name: str, meter: Meter, *, scorer: str = "compiled", share: float | None = None
) -> None:
    """Run the engine as a job does; with a ``share``, a second version has so much of the events."""
    with scoring_job(setting.settings(name, scorer, share=share), StopRequest(None), submitted=False) as job:
        SparkSession.builder.getOrCreate().streams.addListener(meter)
        threading.Thread(target=stop_when_done, args=(lambda: meter.rows(name), setting.events, job.stop)).start()
        job.run()


def run_native(setting: Setting, name: str, meter: Meter) -> None:
    """Run the engine's own decoding, scoring and envelope into Spark's sink."""
    settings = setting.settings(name)
    with spark_session(settings) as spark:
        served = _served(settings, spark, setting.topic)
        stamp = Stamp(setting.topic, served.version, "champion", isoformat(system_clock()))
        rows = envelop(served.score(stream(setting, settings, spark)), stamp)
        targets = prepare_topics(settings, KafkaAdmin(settings.kafka, name)).targets
        drain(setting, settings, to_send(native_records(rows, [stamp], name, targets)), spark, meter)


def run_plain(setting: Setting, name: str, meter: Meter) -> None:
    """Run what the documentation of Spark leads to: ``from_json``, ``transform``, ``to_json``, Spark's sink."""
    settings = setting.settings(name)
    with spark_session(settings) as spark:
        served = _served(settings, spark, setting.topic)
        model = PipelineModel.load(f"file://{served.package.pipeline_dir}")
        features = [f"`{column.name}` {SQL_TYPES[column.type]}" for column in served.package.signature.columns]
        schema = ", ".join(["event_id string", "event_time timestamp", *features])
        events = stream(setting, settings, spark).select(
            "key", F.from_json(F.col("value").cast("string"), schema).alias("event")
        )
        scored = model.transform(events.select("key", "event.*"))
        answer = F.struct(
            "event_id", "event_time", "prediction", vector_to_array(F.col("probability")).alias("probability")
        )
        rows = scored.select(F.lit(settings.output.predictions).alias("topic"), "key", F.to_json(answer).alias("value"))
        drain(setting, settings, rows, spark, meter)


def run_copy(setting: Setting, name: str, meter: Meter) -> None:
    """Copy the events from topic to topic."""
    settings = setting.settings(name)
    with spark_session(settings) as spark:
        rows = stream(setting, settings, spark).select(
            F.lit(settings.output.predictions).alias("topic"), "partition", "key", "value"
        )
        drain(setting, settings, rows, spark, meter)


def run_copy_with_headers(setting: Setting, name: str, meter: Meter) -> None:
    """Copy the events with the headers that a prediction has."""
    settings = setting.settings(name)
    with spark_session(settings) as spark:
        version = registry(settings.model).resolve(ModelSelector.from_settings(settings.model))
        stamp = Stamp(setting.topic, version, "champion", isoformat(system_clock()))
        targets = prepare_topics(settings, KafkaAdmin(settings.kafka, name)).targets
        nothing = {"reason": "string", "field": "string", "traceparent": "binary", "tracestate": "binary"}
        rows = stream(setting, settings, spark).select(
            "partition",
            "offset",
            "key",
            "value",
            "headers",
            F.date_format("timestamp", "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").alias("event_time"),
            F.col("key").cast("string").alias("subject"),
            # As many bytes as the profile of the version has columns.
            F.unhex(F.lit("00" * 18)).alias("bins"),
            *(F.lit(None).cast(kind).alias(column) for column, kind in nothing.items()),
        )
        drain(setting, settings, to_send(native_records(rows, [stamp], name, targets)), spark, meter)


RUN: dict[str, Run] = {
    "compiled": run_exact,
    "compiled_arms": partial(run_exact, share=CANDIDATE_SHARE),
    "spark": partial(run_exact, scorer="spark"),
    "spark_arms": partial(run_exact, scorer="spark", share=CANDIDATE_SHARE),
    "native": run_native,
    "plain": run_plain,
    "copy_with_headers": run_copy_with_headers,
    "copy": run_copy,
}


def measured(setting: Setting, kind: str, *, profiled: bool = False) -> Rates:
    """Run a system over the topic, and return its rates; with its profile, which costs some of them."""
    meter, name = Meter(), f"{kind.replace('_', '-')}-{uuid4().hex[:6]}"
    beside: AbstractContextManager[None] = nullcontext()
    if profiled:
        beside = profiling(kind, lambda: meter.rows(name) > WARM_UP_BATCHES * setting.rows_per_batch)
    with beside:
        RUN[kind](setting, name, meter)
    return Rates(meter.rate(name), meter.burst(name))


@contextmanager
def spark_session(settings: Settings) -> Iterator[SparkSession]:
    """A session like the job's own, stopped at the end."""
    spark = start_session(SessionPlan(settings.application, conf=settings.spark.conf))
    try:
        yield spark
    finally:
        spark.stop()


def stream(setting: Setting, settings: Settings, spark: SparkSession) -> DataFrame:
    """Return the topic's events, read as the engine reads them."""
    starting = dict.fromkeys(range(setting.partitions), 0)
    return read_stream(spark, spark_options(settings.kafka), setting.topic, starting, setting.rows_per_batch)


def drain(setting: Setting, settings: Settings, rows: DataFrame, spark: SparkSession, meter: Meter) -> None:
    """Write rows by Spark's own sink until all events were read."""
    admin, name = KafkaAdmin(settings.kafka, settings.application), settings.application
    for topic in (settings.output.predictions, settings.dead_letter_topic):
        admin.ensure_topic(topic, setting.partitions, {"retention.ms": "-1"})
    spark.streams.addListener(meter)
    # The engine compresses by default, so whatever it is compared with does, too.
    written = {"kafka.acks": "all", "kafka.compression.type": "lz4", "checkpointLocation": settings.checkpoint}
    query = rows.writeStream.queryName(name).format("kafka").options(**spark_options(settings.kafka), **written).start()
    stop_when_done(lambda: meter.rows(name), setting.events, query.stop)


def _served(settings: Settings, spark: SparkSession, topic: str) -> ServedModel:
    version = registry(settings.model).resolve(ModelSelector.from_settings(settings.model))
    checks = preparation(settings, spark, TopicSample(KafkaAdmin(settings.kafka, settings.application), topic))
    return checks.prepare(version, registry(settings.model).download)
