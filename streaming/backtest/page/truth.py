"""The sections that need labels: metrics, right and wrong, thresholds, calibration."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from streaming.backtest.bootstrap import Measured
from streaming.backtest.comparison import Comparison
from streaming.backtest.labelled import Labelled
from streaming.backtest.page.marks import gain
from streaming.backtest.page.parts import MOST_BESIDE, MOST_CLASSES, count_table, keys, meaning
from streaming.backtest.page.plots import by_threshold, calibrations, over_time
from streaming.backtest.words import span
from streaming.page.markup import Element, tag
from streaming.page.parts import figure, section
from streaming.words import number, plural, signed


def truth_sections(comparison: Comparison) -> Iterator[Element]:
    """Return what the labels tell; nothing without labels."""
    labelled = comparison.labelled
    if labelled is None:
        return
    yield _metrics(comparison, labelled)
    if len(labelled.timeline) > 1:
        yield _timeline(comparison, labelled)
    if labelled.confusion and len(comparison.classes) <= MOST_CLASSES:
        yield _confusion(comparison, labelled)
    if labelled.curves:
        yield _thresholds(comparison, labelled)
        yield _calibration(comparison, labelled)


def _metrics(comparison: Comparison, labelled: Labelled) -> Element:
    deciding = comparison.verdict.metric
    events = plural(comparison.coverage.labelled, "labelled event")
    lead = (
        f"Both sides are judged on the same {events}. Right of the line the candidate is better. A bar that crosses the"
        " line may be chance. Each bar has its own scale."
    )
    many = (
        "With several metrics, some bar will miss the line by chance alone. The verdict therefore rests on one metric"
        " that is chosen beforehand. It is marked with a star."
    )
    interval = f"{comparison.options.confidence:.0%} interval"
    titles = ("", "recorded", "candidate", f"difference, {interval}", "worse | better")
    rows = [_metric(measured, comparison, starred=measured.metric.name == deciding) for measured in labelled.metrics]
    table = tag("table", tag("thead", tag("tr", [tag("th", title) for title in titles])), tag("tbody", rows))
    return section(
        "By the labels", tag("p", lead), tag("div", table, class_="wide metrics"), tag("p", many, class_="soft")
    )


def _metric(measured: Measured, comparison: Comparison, *, starred: bool) -> Element:
    outcome = "better" if measured.gain.low > 0 else "worse" if measured.gain.high < 0 else "open"
    return tag(
        "tr",
        tag(
            "th",
            f"{measured.metric.title}{' ★' if starred else ''}",
            tag("small", meaning(measured, comparison.positive)),
        ),
        tag("td", number(measured.recorded.value)),
        tag("td", number(measured.candidate.value)),
        tag("td", signed(measured.difference.value), tag("small", span(measured.difference), class_=outcome)),
        tag("td", gain(measured) if isfinite(measured.difference.value) else ""),
    )


def _timeline(comparison: Comparison, labelled: Labelled) -> Element:
    metric = next(measured.metric for measured in labelled.metrics if measured.metric.name == labelled.deciding)
    ahead = sum(
        (stretch.candidate > stretch.recorded) == metric.higher_is_better
        for stretch in labelled.timeline
        if stretch.candidate != stretch.recorded
    )
    lead = (
        f"The candidate is ahead in {ahead} of {len(labelled.timeline)} equal stretches of time. Look whether it is"
        " better throughout, or only for a while, and whether it became worse of late."
    )
    plot = figure("", keys(comparison.names), over_time(labelled.timeline, metric.title))
    return section(f"{metric.title} over time", tag("div", tag("p", lead), plot, class_="figures"))


def _confusion(comparison: Comparison, labelled: Labelled) -> Element:
    names = comparison.names
    tables = [
        figure(
            title,
            "Rows are the true classes, columns the predicted ones, in percent of the row.",
            count_table(counts, comparison.classes, ("true", "predicted"), side),
            whole=len(comparison.classes) > MOST_BESIDE,
        )
        for title, side, counts in zip(
            (names.recorded, names.candidate), ("recorded", "candidate"), labelled.confusion, strict=True
        )
    ]
    return section("Right and wrong", tag("div", tables, class_="figures"))


def _thresholds(comparison: Comparison, labelled: Labelled) -> Element:
    positive = comparison.positive
    lead = f"What would hold if events were called “{positive}” from this score on, whatever the model's own rule is:"
    recorded, candidate = labelled.curves
    figures = [
        figure(
            "Precision",
            f"The share of “{positive}” events among those called so. The line ends where fewer than 10 are called so.",
            by_threshold((recorded.precision, candidate.precision), "precision"),
        ),
        figure(
            "Recall",
            f"The share of the “{positive}” events that are called so.",
            by_threshold((recorded.recall, candidate.recall), "recall"),
        ),
    ]
    grid = tag("div", figures, class_="figures")
    return section("At other thresholds", tag("p", lead, " ", keys(comparison.names)), grid)


def _calibration(comparison: Comparison, labelled: Labelled) -> Element:
    lead = (
        "The events are sorted by score and cut into tenths. Of those with a score near 30%, about 30% should come"
        " true. On the dotted line they do. Above it the scores are too low, below it too high. The bars are"
        f" {comparison.options.confidence:.0%} intervals that take the events as independent."
    )
    plot = figure("", keys(comparison.names), calibrations(labelled.calibrations, comparison.positive))
    return section("Do the probabilities come true?", tag("div", tag("p", lead), plot, class_="figures"))
