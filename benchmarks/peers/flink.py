"""PyFlink with ONNX Runtime: the DataStream API, a Python map between Flink's own Kafka source and sink."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from pyflink.common import Configuration, SimpleStringSchema, Types, WatermarkStrategy
from pyflink.datastream import MapFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import (
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)

from benchmarks.peers.flink_jar import flink_jar
from benchmarks.peers.scoring import Scorer
from benchmarks.peers.task import Task, given_task


class Score(MapFunction):  # type: ignore[misc]  # its environment is another
    """JSON in, JSON out."""

    def __init__(self, model: Path) -> None:
        self._model = model

    def open(self, _: RuntimeContext) -> None:
        self._scorer = Scorer(self._model)

    def map(self, value: str) -> str:
        return self._scorer.score_json((value,))[0].decode()


def configuration(task: Task) -> Configuration:
    """Return the settings that Flink's documentation gives for low latency."""
    chosen = Configuration()
    settings = {
        # docs/dev/python/python_execution_mode: Python inside the JVM's process, record by record, with neither the
        # serialisation nor the bundles (1,000 records or 1 s) of the default, a process beside it.
        "python.execution-mode": "thread",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        # docs/deployment/config, execution.buffer-timeout.interval: 0 ms flushes after every record.
        "execution.buffer-timeout.interval": "0 ms",
        # docs/deployment/config, pipeline.object-reuse: no copies between chained operators.
        "pipeline.object-reuse": "true",
        "pipeline.jars": flink_jar().as_uri(),
        "parallelism.default": "2",
        # A failure ends the run, where it is seen.
        "restart-strategy.type": "none",
        # docs/connectors/datastream/kafka, "Fault Tolerance": at-least-once needs checkpoints.
        "execution.checkpointing.interval": "5 s",
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": (Path(task.folder) / "checkpoints").as_uri(),
    }
    for name, value in settings.items():
        chosen.set_string(name, value)
    return chosen


def main(task: Task) -> None:
    """Score until the process is ended."""
    # The JVM embeds the base Python, which knows nothing of this environment's packages.
    os.environ["PYTHONPATH"] = os.pathsep.join([os.environ["PYTHONPATH"], sysconfig.get_path("purelib")])
    os.environ["FLINK_LOG_DIR"] = task.folder
    environment = StreamExecutionEnvironment.get_execution_environment(configuration(task))
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(task.bootstrap)
        .set_topics(task.source)
        .set_group_id(task.name)
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    record = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(task.sink)
        .set_value_serialization_schema(SimpleStringSchema())
        .build()
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(task.bootstrap)
        .set_record_serializer(record)
        .set_delivery_guarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        # kafka.apache.org/documentation, linger.ms: the default became 5 ms with Kafka 4.0.
        .set_property("linger.ms", "0")
        .build()
    )
    events = environment.from_source(source, WatermarkStrategy.no_watermarks(), "events")
    events.map(Score(task.onnx), output_type=Types.STRING()).sink_to(sink)
    environment.execute(task.name)


if __name__ == "__main__":
    main(given_task())
