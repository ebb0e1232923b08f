"""Every number that Penstock exports, and the events that change it. Names are ``penstock_*``, in base units."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

from prometheus_client import Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from streaming.clock import Clock
from streaming.models.ref import ModelVersion
from streaming.operations.chain_metrics import ChainMetrics
from streaming.operations.lookup_metrics import LookupMetrics
from streaming.operations.version_metrics import VersionMetrics

_BATCH_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class PartCounts(Protocol):
    """What became of the rows of one arm, or of one of many models."""

    @property
    def predictions(self) -> int:
        """Rows scored and written."""

    @property
    def dead_letters(self) -> Mapping[str, int]:
        """Rows refused, by reason code."""


class OutcomeCounts(Protocol):
    """What became of a batch's rows; the engine's outcome has this shape."""

    @property
    def predictions(self) -> int:
        """Rows scored and written."""

    @property
    def dead_letters(self) -> Mapping[str, int]:
        """Rows refused, by reason code."""

    @property
    def skipped(self) -> int:
        """Rows that an earlier attempt had written."""

    @property
    def degraded(self) -> Mapping[str, int]:
        """Predictions of the fallback chain, by reason."""

    @property
    def transactions(self) -> int:
        """Kafka transactions committed."""

    @property
    def fenced(self) -> int:
        """Kafka transactions that another attempt had already done."""

    @property
    def ages(self) -> Sequence[int]:
        """Rows by the time from the record's timestamp to the commit, per bucket."""

    @property
    def arms(self) -> Mapping[str, PartCounts]:
        """The counts of each arm by its role, or of each of many models by the text of its version's key."""

    @property
    def lookups(self) -> Mapping[str, float]:
        """Events by what became of their lookup, and what the workers count of the table."""

    @property
    def age_sum(self) -> float:
        """The rows' times from timestamp to commit, summed, in seconds."""


class FinishedBatch(Protocol):
    """A finished batch; the engine's report has this shape."""

    @property
    def batch(self) -> int:
        """The batch's number."""

    @property
    def version(self) -> ModelVersion:
        """The version that scored it."""

    @property
    def rows_in(self) -> int:
        """Rows read."""

    @property
    def outcome(self) -> OutcomeCounts:
        """Counts of the batch's rows."""

    @property
    def phases(self) -> Mapping[str, float]:
        """Seconds by phase."""

    @property
    def seconds(self) -> float:
        """Seconds in all."""


class Metrics(VersionMetrics):
    """The job's metrics."""

    def __init__(self, clock: Clock, age_bounds: Sequence[float]) -> None:
        """Make every metric, at zero.

        Args:
            clock: For ages.
            age_bounds: Upper bounds in seconds of :attr:`OutcomeCounts.ages`, the last bucket being open.
        """
        super().__init__(clock)
        self._lagging: set[tuple[str, str]] = set()
        self._ages = _CountedHistogram(
            "penstock_end_to_end_latency_seconds", "From a record's timestamp to the commit of its output.", age_bounds
        )
        self.registry.register(self._ages)
        self._make_batch_metrics()

    @cached_property
    def lookups(self) -> LookupMetrics:
        """The numbers about looked-up columns, which are there from the first time that they are asked for."""
        return LookupMetrics(self.registry)

    def _make_batch_metrics(self) -> None:
        self._records = self._counter(
            "records", "Rows by outcome; skipped ones were written by an earlier try.", "outcome"
        )
        self._dead_letters = self._counter("dead_letters", "Dead letters by reason.", "reason")
        self._chain = ChainMetrics(self.registry)
        self._transactions = self._counter("transactions", "Kafka transactions by outcome.", "outcome")
        self._batch_failures = self._counter("batch_failures", "Tries of a batch that failed in the model.", "version")
        self._searching = self._counter("row_search_seconds", "Spent on finding the rows on which a model throws.")
        self._violations = self._counter("batch_invariant_violations", "Batches whose rows out were not its rows in.")
        self._given_up = self._counter("skipped_records", "Offsets deleted before they were scored, and passed over.")
        self._restarts = self._counter("query_restarts", "Times the query was started again after a failure.")
        self._paused = self._gauge("paused", "1 while the circuit breaker holds the job.")
        self._lag = self._gauge(
            "consumer_lag_records", "Records that were on the topic and not in the last batch.", "topic", "partition"
        )
        self._lease_held = self._gauge("lease_held", "1 while this driver holds the lease, 0 while it stands by.")
        self._lease_epoch = self._gauge("lease_epoch", "The lease's epoch under which this driver writes, 0 before.")
        self._last_batch = self._gauge("last_batch_timestamp_seconds", "When the last batch finished, since 1970.")
        self._batch_seconds = Histogram(
            "penstock_batch_duration_seconds",
            "Duration of a batch by phase; phase total is all of it.",
            ["phase"],
            registry=self.registry,
            buckets=_BATCH_SECONDS,
        )
        self._rechecked = self._counter(
            "rechecked_events", "Events scored once more, compiled and by Spark, by result.", "result"
        )
        self._rollout = self._gauge("rollout_info", "1 for the latest rollout.", "rollout", "version", "phase", "step")
        self._share = self._gauge("rollout_share", "The candidate's share of the keys, 0 without a rollout.")
        # From the start, at zero: rate() does not see an increase with which a series begins.
        for outcome in ("prediction", "dead_letter", "skipped"):
            self._records.labels(outcome)
        for result in ("equal", "different"):
            self._rechecked.labels(result)

    def batch_finished(self, batch: FinishedBatch) -> None:
        """Count a finished batch."""
        outcome = batch.outcome
        self._records.labels("prediction").inc(outcome.predictions)
        self._records.labels("dead_letter").inc(sum(outcome.dead_letters.values()))
        self._records.labels("skipped").inc(outcome.skipped)
        for reason, count in outcome.dead_letters.items():
            self._dead_letters.labels(reason).inc(count)
        for reason, count in outcome.degraded.items():
            self._chain.degraded(reason, count)
        self._transactions.labels("committed").inc(outcome.transactions)
        self._transactions.labels("fenced").inc(outcome.fenced)
        for phase, seconds in (*batch.phases.items(), ("total", batch.seconds)):
            self._batch_seconds.labels(phase).observe(seconds)
        self._ages.add(outcome.ages, outcome.age_sum)
        self._last_batch.set(self._clock().timestamp())

    def batch_failed(self, version: ModelVersion) -> None:
        """Count a try that failed in the model."""
        self._batch_failures.labels(str(version.version)).inc()

    def circuit_moved(self, version: ModelVersion, state: str) -> None:
        """Set the state of a version's circuit."""
        self._chain.circuit_moved(version, state)

    def rows_searched(self, seconds: float) -> None:
        """Add to the time that was spent on finding the rows on which a model throws."""
        self._searching.inc(seconds)

    def invariant_broken(self) -> None:
        """Count a batch that lost or doubled rows."""
        self._violations.inc()

    def lease_changed(self, *, held: bool) -> None:
        """Set whether this driver holds the lease."""
        self._lease_held.set(1 if held else 0)

    def lease_taken(self, epoch: int) -> None:
        """Set the epoch under which this driver writes."""
        self._lease_epoch.set(epoch)

    def records_skipped(self, count: int) -> None:
        """Count offsets that were given up."""
        self._given_up.inc(count)

    def query_restarted(self) -> None:
        """Count a restart."""
        self._restarts.inc()

    def paused(self, *, paused: bool) -> None:
        """The circuit breaker holds the job, or has let it go."""
        self._paused.set(1 if paused else 0)

    def lag_measured(self, topic: str, records: Mapping[int, int]) -> None:
        """Set how many records of each partition wait."""
        for partition, count in records.items():
            self._lag.labels(topic, str(partition)).set(count)
            self._lagging.add((topic, str(partition)))

    def caught_up(self) -> None:
        """Nothing waits on any partition."""
        for labels in self._lagging:
            self._lag.labels(*labels).set(0)

    def rechecked(self, equal: int, different: int) -> None:
        """Count the events of a sample on which the forms of a version agree, and the others."""
        self._rechecked.labels("equal").inc(equal)
        self._rechecked.labels("different").inc(different)

    def rollout_at(self, summary: Mapping[str, Any]) -> None:
        """Set where the latest rollout stands."""
        self._rollout.clear()
        self._rollout.labels(*(str(summary[name]) for name in ("rollout", "version", "phase", "step"))).set(1)
        self._share.set(summary["share"])


class _CountedHistogram(Collector):
    """A histogram that takes counts by bucket, because the workers have counted and a call for each row is slow."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text = name, text
        self._bounds = [*(str(float(bound)) for bound in bounds), "+Inf"]
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add rows per bucket, and the sum of their values."""
        self._counts = [a + b for a, b in zip(self._counts, counts, strict=True)]
        self._sum += total

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Yield the histogram, its buckets cumulative as Prometheus has them."""
        cumulative = itertools.accumulate(self._counts)
        buckets = list(zip(self._bounds, map(float, cumulative), strict=True))
        yield HistogramMetricFamily(self._name, self._text, buckets=buckets, sum_value=self._sum)
