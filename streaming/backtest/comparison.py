"""A candidate against what was recorded, on the same events: everything that the reports show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from streaming.backtest.answers import Answers, Kind, answers
from streaming.backtest.coverage import Coverage, coverage, predicted_by_both
from streaming.backtest.disagreements import Disagreement, Values, largest, no_values
from streaming.backtest.draws import draws_for
from streaming.backtest.intervals import Estimate, Measured, paired_bootstrap, wilson
from streaming.backtest.metrics import judge
from streaming.backtest.options import Names, Options
from streaming.backtest.paired import SCHEMA
from streaming.backtest.shift import Shift, score_name, shift
from streaming.backtest.tables import CalibrationBin, Counts, Curve, calibration, cross_table, curve
from streaming.backtest.verdict import Verdict, decide
from streaming.errors import DataError


@dataclass(frozen=True)
class Method:
    """How the intervals were made: what was drawn (``days``, ``events``, ...), how many there are, and how often."""

    drawn: str
    units: int
    replicates: int


@dataclass(frozen=True)
class Labelled:
    """What the labels tell. Tables count by true class (rows) and predicted class; tuples are recorded, candidate.

    ``curves`` and ``calibrations`` are empty without two classes and probabilities.
    """

    metrics: tuple[Measured, ...]
    method: Method
    confusion: tuple[Counts, ...]
    curves: tuple[Curve, ...]
    calibrations: tuple[tuple[CalibrationBin, ...], ...]


@dataclass(frozen=True)
class Comparison:
    """The result.

    ``agreement`` is the share of events with the same class, or number; ``predictions`` counts events by recorded
    (rows) and candidate class. ``shift`` is absent without scores, ``labelled`` without labels.
    """

    names: Names
    options: Options
    kind: str
    classes: tuple[str, ...]
    positive: str
    coverage: Coverage
    verdict: Verdict
    agreement: Estimate
    predictions: Counts
    shift: Shift | None
    labelled: Labelled | None
    disagreements: tuple[Disagreement, ...]


def compare(
    paired: pa.Table,
    names: Names,
    labels: pa.Table | None = None,
    values: Values = no_values,
    options: Options | None = None,
) -> Comparison:
    """Compare the pairs.

    Args:
        paired: as :func:`streaming.backtest.paired.pair` makes it.
        names: of the sides and the source.
        labels: as :func:`streaming.backtest.labels.read_labels` reads them.
        values: fetches the values of the few events that are listed as the largest disagreements.
        options: how.

    Raises:
        DataError: no event has a prediction on both sides.
        ConfigurationError: the labels or the options do not fit what was predicted.
    """
    options = options or Options()
    paired = paired.select(SCHEMA.names).cast(SCHEMA)
    both = predicted_by_both(paired)
    if not both.num_rows:
        raise DataError(
            f"none of {paired.num_rows:,} events was predicted by both sides; there is nothing to compare. Is the"
            " recorded side of the same topic and range as the replay?"
        )
    found = answers(both, labels, options.positive)
    judged = _labelled(found, options) if found.labelled.any() else None
    counted = coverage(paired, both, int(found.labelled.sum()))
    return Comparison(
        names=names,
        options=options,
        kind=found.kind.value,
        classes=found.classes,
        positive=found.classes[found.positive] if found.kind is Kind.TWO_CLASSES else "",
        coverage=counted,
        verdict=decide(judged.metrics if judged else (), options, counted, _fewest(found)),
        agreement=wilson(_agreeing(found), both.num_rows, options.confidence),
        predictions=_predictions(found),
        shift=shift(score_name(found), *found.scores) if found.scores else None,
        labelled=judged,
        disagreements=largest(both, found, options.largest, values),
    )


def _agreeing(found: Answers) -> int:
    recorded, candidate = found.sides
    if found.kind is Kind.NUMBERS:
        return int((recorded.number == candidate.number).sum())
    return int((recorded.predicted == candidate.predicted).sum())


def _predictions(found: Answers) -> Counts:
    if found.kind is Kind.NUMBERS:
        return ()
    return cross_table(found.recorded.predicted, found.candidate.predicted, len(found.classes))


def _fewest(found: Answers) -> int:
    """Return how many labelled events the rarest class has that has any; of numbers, how many there are."""
    truth = found.truth[found.labelled]
    if found.kind is Kind.NUMBERS or not len(truth):
        return len(truth)
    counts = np.bincount(truth.astype(np.int64), minlength=len(found.classes))
    return int(counts.min() if found.kind is Kind.TWO_CLASSES else counts[counts > 0].min())


def _labelled(found: Answers, options: Options) -> Labelled:
    known = found.only(found.labelled)
    judges = judge(known, known.recorded), judge(known, known.candidate)
    draws = draws_for(known.hour, len(known.truth), options.replicates)
    metrics = paired_bootstrap(judges, draws, options.confidence, options.seed)
    truth = known.truth.astype(np.int64)
    confusion: tuple[Counts, ...] = ()
    if known.kind is not Kind.NUMBERS:
        confusion = tuple(cross_table(truth, side.predicted, len(known.classes)) for side in known.sides)
    ranked = (known.scores or ()) if known.kind is Kind.TWO_CLASSES else ()
    true = truth == known.positive
    return Labelled(
        metrics=metrics,
        method=Method(draws.what, draws.count, draws.replicates),
        confusion=confusion,
        curves=tuple(curve(score, true) for score in ranked),
        calibrations=tuple(calibration(score, true, options.confidence) for score in ranked),
    )
