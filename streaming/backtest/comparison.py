"""A candidate against what was recorded, on the same events: everything that the reports show."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from streaming.backtest.answers import AnswerKind, Answers, answers
from streaming.backtest.coverage import Coverage, coverage, predicted_by_both
from streaming.backtest.disagreements import Disagreement, Values, largest, no_values
from streaming.backtest.labelled import Labelled, judge_labelled
from streaming.backtest.options import Names, Options
from streaming.backtest.paired import SCHEMA
from streaming.backtest.shift import Shift, score_name, shift
from streaming.backtest.tables import Counts, cross_table
from streaming.backtest.verdict import ComparisonVerdict, decide
from streaming.errors import DataError
from streaming.statistics.intervals import Estimate, wilson


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
    verdict: ComparisonVerdict
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
    both_answers = answers(both, labels, options.positive)
    judged = judge_labelled(both_answers, options) if both_answers.labelled.any() else None
    counted = coverage(paired, both, int(both_answers.labelled.sum()))
    return Comparison(
        names=names,
        options=options,
        kind=both_answers.kind.value,
        classes=both_answers.classes,
        positive=both_answers.classes[both_answers.positive] if both_answers.kind is AnswerKind.TWO_CLASSES else "",
        coverage=counted,
        verdict=decide(judged, options, counted),
        agreement=wilson(_agreeing(both_answers), both.num_rows, options.confidence),
        predictions=_predictions(both_answers),
        shift=shift(score_name(both_answers), *both_answers.scores) if both_answers.scores else None,
        labelled=judged,
        disagreements=largest(both, both_answers, options.largest, values),
    )


def _agreeing(pair: Answers) -> int:
    recorded, candidate = pair.sides
    if pair.kind is AnswerKind.NUMBERS:
        return int((recorded.number == candidate.number).sum())
    return int((recorded.predicted == candidate.predicted).sum())


def _predictions(pair: Answers) -> Counts:
    if pair.kind is AnswerKind.NUMBERS:
        return ()
    return cross_table(pair.recorded.predicted, pair.candidate.predicted, len(pair.classes))
