"""What became of one task's rows: the one row that a task sends back to the driver."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from streaming.scoring_time import ScoringTime

AGE_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds; the upper bounds of the age histogram, with one more bucket for all above."""

_Sum = TypeVar("_Sum", int, float, "ArmOutcome", ScoringTime)
SCHEMA = "partition INT, outcome STRING"


@dataclass
class ArmOutcome:
    """What one arm wrote, dead letters by their reasons; ``newest`` is the latest event time, empty if none is."""

    predictions: int = 0
    dead_letters: dict[str, int] = field(default_factory=dict)
    newest: str = ""

    @property
    def events(self) -> int:
        """Events that the arm answered, either way."""
        return self.predictions + sum(self.dead_letters.values())

    def __add__(self, other: ArmOutcome) -> ArmOutcome:
        """Add up; times are in one format, whose order is that of the text."""
        letters = summed(self.dead_letters, other.dead_letters)
        return ArmOutcome(self.predictions + other.predictions, letters, max(self.newest, other.newest))


@dataclass
class Outcome:
    """Counts of one partition; outcomes of its chunks add up.

    ``arms`` are the counts of each arm by its role, where there are several. ``skipped`` rows were written by an
    earlier attempt, or are dead letters already. ``segments`` says which plan's transactions wrote which source
    offsets, from and up to but not including. ``degraded`` are the predictions of the fallback chain, by reason.
    ``ages`` counts rows by the time from the record's timestamp to the commit, per bound of :data:`AGE_BOUNDS`.
    """

    predictions: int = 0
    dead_letters: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    transactions: int = 0
    fenced: int = 0
    segments: dict[str, tuple[int, int]] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    ages: list[int] = field(default_factory=lambda: [0] * (len(AGE_BOUNDS) + 1))
    age_sum: float = 0.0
    error: str = ""
    detail: str = ""
    arms: dict[str, ArmOutcome] = field(default_factory=dict)
    degraded: dict[str, int] = field(default_factory=dict)
    lookups: dict[str, float] = field(default_factory=dict)
    """Events by what became of their lookup, and what :mod:`streaming.lookup.table` counts, by name."""
    times: dict[str, ScoringTime] = field(default_factory=dict)
    """How long each arm's version took for as many events, by its role, where that was measured."""

    @property
    def rows(self) -> int:
        """Rows that are accounted for."""
        return self.predictions + sum(self.dead_letters.values()) + self.skipped

    def failed(self, error: str, detail: str) -> Outcome:
        """Return the outcome with an error that trying again would not mend."""
        return replace(self, error=error, detail=detail)

    def __add__(self, other: Outcome) -> Outcome:
        """Add up; text fields are the later one's where it has any."""
        return Outcome(
            self.predictions + other.predictions,
            summed(self.dead_letters, other.dead_letters),
            self.skipped + other.skipped,
            self.transactions + other.transactions,
            self.fenced + other.fenced,
            _joined(self.segments, other.segments),
            summed(self.phases, other.phases),
            [a + b for a, b in zip(self.ages, other.ages, strict=True)],
            self.age_sum + other.age_sum,
            other.error or self.error,
            other.detail or self.detail,
            summed(self.arms, other.arms),
            summed(self.degraded, other.degraded),
            summed(self.lookups, other.lookups),
            summed(self.times, other.times),
        )

    def to_arrow(self, partition: int) -> pa.RecordBatch:
        """Return the row for the driver."""
        return pa.RecordBatch.from_pydict({"partition": pa.array([partition], pa.int32()), "outcome": [self.to_json()]})

    def to_json(self) -> str:
        """Return the outcome as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        """Read an outcome back."""
        fields = json.loads(text)
        segments = {plan: (start, end) for plan, (start, end) in fields["segments"].items()}
        arms = {role: ArmOutcome(**counts) for role, counts in fields["arms"].items()}
        times = {role: ScoringTime(**time) for role, time in fields["times"].items()}
        return cls(**{**fields, "segments": segments, "arms": arms, "times": times})


def summed(first: Mapping[str, _Sum], second: Mapping[str, _Sum]) -> dict[str, _Sum]:
    """Add up what has the same name in both; what one alone has stays."""
    both = {name: first[name] + second[name] for name in first.keys() & second.keys()}
    return {**first, **second, **both}


def _joined(first: dict[str, tuple[int, int]], second: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Join segments by plan; what one plan wrote of a partition lies together, as a later plan never gives way."""
    both = [(plan, part) for segments in (first, second) for plan, part in segments.items()]
    joined: dict[str, tuple[int, int]] = {}
    for plan, (start, end) in both:
        before = joined.get(plan, (start, end))
        joined[plan] = (min(start, before[0]), max(end, before[1]))
    return joined


def count_arms(batch: pa.RecordBatch, mark: int, roles: Sequence[str]) -> dict[str, ArmOutcome]:
    """Count a batch's rows at or above ``mark`` by their arms' roles; the column ``arm`` has positions in ``roles``."""
    written = batch.filter(pc.greater_equal(batch.column("offset"), mark)).select(["arm", "reason", "event_time"])
    counts: dict[str, ArmOutcome] = {}
    groups = pa.Table.from_batches([written]).group_by(["arm", "reason"])
    for row in groups.aggregate([([], "count_all"), ("event_time", "max")]).to_pylist():
        letters = {} if row["reason"] is None else {row["reason"]: row["count_all"]}
        # A rejected event's time may be what is wrong with it.
        newest = row["event_time_max"] or "" if row["reason"] is None else ""
        of_reason = ArmOutcome(0 if letters else row["count_all"], letters, newest)
        counts[roles[row["arm"]]] = counts.get(roles[row["arm"]], ArmOutcome()) + of_reason
    return counts


def count_lookups(batch: pa.RecordBatch, mark: int) -> dict[str, float]:
    """Count a batch's rows at or above ``mark`` by what became of their lookup; events rejected before have none."""
    written = batch.filter(pc.greater_equal(batch.column("offset"), mark)).column("lookup").drop_null()
    return {row["values"]: row["counts"] for row in pc.value_counts(written).to_pylist()}


def count_ages(chunk: list[pa.RecordBatch], mark: int, now_ms: float) -> Outcome:
    """Count the chunk's rows at or above ``mark`` by age at ``now_ms`` (milliseconds since 1970)."""
    counted = Outcome()
    for batch in chunk:
        fresh = batch.column("offset").to_numpy() >= mark
        seconds = (now_ms - batch.column("timestamp").to_numpy()[fresh]) / 1000.0
        buckets = np.bincount(np.searchsorted(AGE_BOUNDS, seconds), minlength=len(AGE_BOUNDS) + 1)
        counted += Outcome(ages=buckets.tolist(), age_sum=float(seconds.sum()))
    return counted
