"""Quix Streams with ONNX Runtime, a row at a time, as its documentation writes such an application."""

from __future__ import annotations

from quixstreams import Application

from benchmarks.peers.scoring import Scorer
from benchmarks.peers.task import Task, given_task

COMMIT_SECONDS = {"at-least-once": 5.0, "exactly-once": 0.05}
# docs/configuration.md, "Exactly-Once producer buffering": outputs can be read after the checkpoint, so a short
# commit_interval is a short latency. At least once it is the default, which costs no latency.


def main(task: Task) -> None:
    """Score until the process is ended."""
    guarantee = "exactly-once" if task.exactly_once else "at-least-once"
    app = Application(
        broker_address=task.bootstrap,
        consumer_group=task.name,
        auto_offset_reset="earliest",
        processing_guarantee=guarantee,
        commit_interval=COMMIT_SECONDS[guarantee],
        # librdkafka, INTRODUCTION.md, "Low latency"
        producer_extra_config={"linger.ms": 0},
        state_dir=task.folder,
        auto_create_topics=False,
        loglevel="WARNING",
    )
    source = app.topic(task.source, value_deserializer="json")
    sink = app.topic(task.sink, value_serializer="json")
    app.dataframe(source).apply(Scorer(task.onnx).score_one).to_topic(sink)
    app.run()


if __name__ == "__main__":
    main(given_task())
