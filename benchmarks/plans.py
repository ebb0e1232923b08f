"""What ``engine.plan: fresh`` costs: the same stream scored with kept and with fresh plans in turn, in one session.

python -m benchmarks.plans    # some five minutes; prints a line for each round and the ratios
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

from pyspark.sql import SparkSession

from benchmarks.scratch import scratch_folder
from jobs.wiring.planning import Planning
from streaming.engines.report import BatchReport
from streaming.models.served import ServedModel
from tests.support.engine import Bench, Recorder, event
from tests.support.eventually import eventually
from tests.support.kafka import MakeTopic, a_broker, topic_maker
from tests.support.models import fit_pipeline, load, package
from tests.support.serving import serving
from tests.support.sparks import a_session

HOME = Path(__file__).resolve().parents[1] / ".penstock"
SIZES = {40: 1_200, 8_000: 40_000}
"""Rows of a batch, and events of a round."""
ROUNDS = 3
PATIENCE = 300.0


@dataclass
class Timed(Recorder):
    """Remembers when each batch was finished."""

    at: list[float] = field(default_factory=list)

    def batch_finished(self, report: BatchReport) -> None:
        self.at.append(time.perf_counter())
        super().batch_finished(report)


@dataclass(frozen=True)
class Rig:
    """What all rounds share."""

    spark: SparkSession
    servers: str
    make_topic: MakeTopic
    model: ServedModel
    scratch: Path

    def seconds(self, planning: Planning, rows: int, events: int) -> float:
        """Return the median time from the end of one full batch to the end of the next."""
        topic = self.make_topic("features", partitions=2, retention_ms=-1)
        seen = Timed()
        bench = Bench(self.spark, self.servers, topic, self.scratch / topic, f"app-{uuid4().hex[:8]}", seen=seen)
        bench.planning, bench.rows_per_batch = planning, rows
        bench.slot.release_with(bench.release)
        bench.slot.swap(self.model)
        for partition in (0, 1):
            bench.send([event(number) for number in range(events // 2)], partition)
        with serving(bench):
            eventually(lambda: sum(report.rows_in for report in seen.reports) >= events, timeout=PATIENCE)
        batches = zip(pairwise(seen.at), seen.reports[1:], strict=True)
        return statistics.median(end - begin for (begin, end), report in batches if report.rows_in == rows)


def main() -> None:
    """Run the rounds and print what they took."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    with scratch_folder("plans") as scratch, a_broker(HOME, scratch) as servers:
        spark = a_session(HOME, scratch / "spark")
        model = load(spark, package(fit_pipeline(spark), scratch / "model"))
        rig = Rig(spark=spark, servers=servers, make_topic=topic_maker(servers), model=model, scratch=scratch)
        for rows, events in SIZES.items():
            for number in range(ROUNDS + 1):
                seconds_kept, seconds_fresh = rig.seconds("kept", rows, events), rig.seconds("fresh", rows, events)
                # The first round warms both up.
                if number:
                    print(
                        f"{rows:,} rows: kept {seconds_kept:.3f} s, fresh {seconds_fresh:.3f} s,"
                        f" {seconds_fresh / seconds_kept:.1f} times",
                        flush=True,
                    )
        spark.stop()


if __name__ == "__main__":
    main()
