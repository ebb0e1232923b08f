"""The section on what would change, which needs no labels: agreement, and how scores move."""

from __future__ import annotations

from collections.abc import Iterator

from streaming.backtest.comparison import Comparison
from streaming.backtest.page.parts import MOST_BESIDE, MOST_CLASSES, count_table, keys
from streaming.backtest.page.plots import distributions, scores_against_each_other
from streaming.backtest.shift import QUANTILES, Distribution, Shift
from streaming.page.markup import Element, tag
from streaming.page.parts import figure, section
from streaming.words import number, share, signed

_NAMES = ("mean", *("median" if part == 0.5 else f"{part:.0%} are below" for part in QUANTILES))


def changes(comparison: Comparison) -> Element:
    """Return how differently the two sides answer."""
    agreement = comparison.agreement
    lead = (
        f"Both sides give the same answer to {share(agreement.value)} of the events ({share(agreement.low)} to"
        f" {share(agreement.high)}). {_identical(comparison)}"
    )
    return section("What would change", tag("p", lead), tag("div", list(_figures(comparison)), class_="figures"))


def _identical(comparison: Comparison) -> str:
    count = comparison.coverage.identical
    return f"{count:,} pairs of answers are exactly equal." if count else "No pair is exactly equal."


def _figures(comparison: Comparison) -> Iterator[Element]:
    names, shift = comparison.names, comparison.shift
    if comparison.predictions and len(comparison.classes) <= MOST_CLASSES:
        explanation = "Rows are the recorded answers, columns the candidate's, in percent of the row."
        table = count_table(comparison.predictions, comparison.classes, ("recorded", "candidate"), "both")
        yield figure("Answers", explanation, table, whole=len(comparison.classes) > MOST_BESIDE)
    if shift is None:
        return
    yield figure("Scores", _moved(shift), _summary(comparison, shift))
    yield figure("Distribution of the scores", keys(names), distributions(shift))
    most = max(max(row) for row in shift.joint)
    caption = (
        f"Each square is for the events with these two scores; the fullest has {most:,}. On the dotted line both scores"
        " are equal. Above it the candidate's score is higher."
    )
    yield figure("Score against score", caption, scores_against_each_other(shift))


def _moved(shift: Shift) -> str:
    how = "a little" if shift.psi < 0.1 else "somewhat" if shift.psi < 0.25 else "a lot"
    return (
        f"The distribution of the {shift.what} changes {how}, and its mean by"
        f" {signed(shift.candidate.mean - shift.recorded.mean)}. That says nothing about which side is right."
    )


def _summary(comparison: Comparison, shift: Shift) -> Element:
    names = comparison.names
    titles = tag("tr", tag("th"), tag("th", names.recorded), tag("th", names.candidate))
    rows = [
        tag("tr", tag("th", name), [tag("td", number(value)) for value in values])
        for name, *values in zip(_NAMES, _values(shift.recorded), _values(shift.candidate), strict=True)
    ]
    table = tag("table", tag("thead", titles), tag("tbody", rows))
    figures = (
        f"Kolmogorov-Smirnov distance {number(shift.ks)}, population stability index {number(shift.psi)} (below 0.1 is"
        f" little, above 0.25 a lot), Jensen-Shannon distance {number(shift.jensen_shannon)}, correlation"
        f" {number(shift.correlation)}."
    )
    return tag("div", tag("div", table, class_="wide"), tag("p", figures, class_="soft"))


def _values(distribution: Distribution) -> tuple[float, ...]:
    return (distribution.mean, *distribution.quantiles)
