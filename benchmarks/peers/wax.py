"""Bytewax with ONNX Runtime: its Kafka source and sink, and a batch operator between them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks.peers.scoring import Scorer
from benchmarks.peers.task import Task, given_task

EPOCH = timedelta(seconds=10)
"""The default of ``bytewax.run``."""


def main(task: Task) -> None:
    """Score until the process is ended."""
    scorer = Scorer(task.onnx)

    def score(records: list[Any]) -> list[Any]:
        scored = scorer.score_json([record.value for record in records])
        return [KafkaSinkMessage(record.key, value) for record, value in zip(records, scored, strict=True)]

    flow = Dataflow("peer")
    # docs/guide/concepts/kafka.md, "Batch Sizes": the source hands on what came within a millisecond, at most so much;
    # a batch of one would be flushed by the sink one by one.
    source = KafkaSource([task.bootstrap], [task.source], batch_size=1000)
    records = op.input("in", flow, source)
    # docs/guide/advanced-concepts/performance.md, "Batching large-overhead operations"
    scored = op.flat_map_batch("score", records, score)
    # librdkafka, INTRODUCTION.md, "Low latency"
    op.output("out", scored, KafkaSink([task.bootstrap], task.sink, add_config={"linger.ms": "0"}))
    # docs/guide/concepts/recovery.md: at-least-once needs a recovery store.
    store = Path(task.folder) / "recovery"
    store.mkdir(parents=True)
    init_db_dir(store, 1)
    cli_main(flow, epoch_interval=EPOCH, recovery_config=RecoveryConfig(store))


if __name__ == "__main__":
    main(given_task())
