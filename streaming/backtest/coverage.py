"""What there was to compare: which events either side predicted, refused, or has nothing of."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from streaming.backtest.paired import SIDES

PREDICTED, REFUSED, ABSENT = "prediction", "dead letter", "nothing"


@dataclass(frozen=True)
class Outcomes:
    """How many events there are with these outcomes (prediction, dead letter or nothing)."""

    recorded: str
    candidate: str
    events: int


@dataclass(frozen=True)
class SideFacts:
    """One side's predictions by model version, and its dead letters by reason."""

    versions: dict[str, int]
    reasons: dict[str, int]


@dataclass(frozen=True)
class Coverage:
    """``both`` events have two predictions and are compared; of them ``labelled`` have a label.

    ``identical`` counts those whose prediction, label and probabilities are equal to the bit. ``first`` and ``last``
    are event times; ``None`` where none is known.
    """

    events: int
    both: int
    labelled: int
    identical: int
    outcomes: tuple[Outcomes, ...]
    recorded: SideFacts
    candidate: SideFacts
    first: str | None
    last: str | None

    def count(self, recorded: str, candidate: str) -> int:
        """Return how many events have these outcomes."""
        return sum(
            outcome.events
            for outcome in self.outcomes
            if (outcome.recorded, outcome.candidate) == (recorded, candidate)
        )


def predicted_by_both(paired: pa.Table) -> pa.Table:
    """Return the pairs with two predictions."""
    return paired.filter(pc.and_(*(pc.is_valid(paired[f"{side}_prediction"]) for side in SIDES)))


def coverage(paired: pa.Table, both: pa.Table, labelled: int) -> Coverage:
    """Count the pairs; ``both`` are those of :func:`predicted_by_both`."""
    states = pa.table({side: _states(paired, side) for side in SIDES}).group_by(list(SIDES))
    counts = states.aggregate([([], "count_all")]).sort_by([(side, "descending") for side in SIDES]).to_pylist()
    outcomes = tuple(Outcomes(row["recorded"], row["candidate"], row["count_all"]) for row in counts)
    # Unsafe, because what is finer than milliseconds is cut off.
    span = pc.min_max(paired["event_time"].cast(pa.timestamp("ms", "UTC"), safe=False).cast(pa.string())).as_py()
    recorded, candidate = (_facts(paired, side) for side in SIDES)
    first, last = (None if text is None else text.replace(" ", "T") for text in (span["min"], span["max"]))
    return Coverage(
        events=paired.num_rows,
        both=both.num_rows,
        labelled=labelled,
        identical=_identical(both),
        outcomes=outcomes,
        recorded=recorded,
        candidate=candidate,
        first=first,
        last=last,
    )


def _states(paired: pa.Table, side: str) -> pa.ChunkedArray:
    other = pc.if_else(pc.is_valid(paired[f"{side}_reason"]), REFUSED, ABSENT)
    return pc.if_else(pc.is_valid(paired[f"{side}_prediction"]), PREDICTED, other)


def _facts(paired: pa.Table, side: str) -> SideFacts:
    predicted = paired.filter(pc.is_valid(paired[f"{side}_prediction"]))
    return SideFacts(_counts(predicted[f"{side}_model_version"]), _counts(paired[f"{side}_reason"]))


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    counts = pc.value_counts(column.drop_null()).to_pylist()
    return {str(entry["values"]): entry["counts"] for entry in sorted(counts, key=lambda entry: entry["values"])}


def _identical(both: pa.Table) -> int:
    names = ("prediction", "label", "probability")
    recorded, candidate = (zip(*(both[f"{side}_{name}"].to_pylist() for name in names), strict=True) for side in SIDES)
    return sum(first == second for first, second in zip(recorded, candidate, strict=True))
