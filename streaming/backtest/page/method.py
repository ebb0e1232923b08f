"""The last section: which events there were, and how the numbers were made."""

from __future__ import annotations

from collections.abc import Iterator

from streaming.backtest.comparison import Comparison
from streaming.backtest.coverage import SideFacts
from streaming.backtest.page.parts import key
from streaming.page.markup import Element, tag
from streaming.page.parts import section
from streaming.words import plural, share


def method(comparison: Comparison) -> Element:
    """Return what was compared, and how."""
    return section(
        "What was compared, and how", _outcomes(comparison), _sides(comparison), list(_paragraphs(comparison))
    )


def _outcomes(comparison: Comparison) -> Element:
    events = comparison.coverage.events
    titles = tag("tr", [tag("th", title) for title in ("recorded", "candidate", "events", "")])
    rows = [
        tag(
            "tr",
            tag("th", outcome.recorded),
            tag("th", outcome.candidate),
            tag("td", f"{outcome.events:,}"),
            _part(outcome.events, events),
        )
        for outcome in comparison.coverage.outcomes
    ]
    return tag("div", tag("table", tag("thead", titles), tag("tbody", rows)), class_="wide")


def _part(events: int, total: int) -> Element:
    return tag("td", share(events / total))


def _sides(comparison: Comparison) -> Element:
    coverage, names = comparison.coverage, comparison.names
    return tag(
        "ul",
        tag("li", key("recorded", names.recorded), ": ", _facts(coverage.recorded)),
        tag("li", key("candidate", names.candidate), ": ", _facts(coverage.candidate)),
    )


def _facts(side: SideFacts) -> str:
    versions = [f"{count:,} by version {version}" for version, count in side.versions.items()]
    reasons = [f"{count:,} {reason}" for reason, count in side.reasons.items()]
    letters = f"; dead letters: {', '.join(reasons)}" if reasons else ""
    return f"predictions: {', '.join(versions) or 'none'}{letters}"


def _paragraphs(comparison: Comparison) -> Iterator[Element]:
    yield tag("p", "Only events that both sides predicted are compared. The table above also counts the others.")
    labelled, confidence = comparison.labelled, f"{comparison.options.confidence:.0%}"
    if labelled is not None:
        drawn = labelled.method
        yield tag(
            "p",
            f"The metrics' intervals come from a paired bootstrap, seed {comparison.options.seed}. The comparison is"
            f" repeated {drawn.replicates:,} times, each time on {drawn.units:,} {drawn.drawn} drawn with replacement,"
            f" the same for both sides. An interval holds {confidence} of the results. {_why(drawn.drawn)}",
        )
    yield tag(
        "p",
        f"The agreement's interval is Wilson's, with {confidence}. It takes"
        f" {plural(comparison.coverage.both, 'event')} as independent and is too narrow if they are not.",
    )
    yield tag(
        "p",
        "A backtest flatters a candidate that was trained on these events. Make sure that its training data end before"
        " they begin. A backtest has no consequences: if predictions change what happens next, only a trial on live"
        " traffic tells.",
    )


def _why(drawn: str) -> str:
    if drawn == "events":
        return (
            "Events are drawn one by one, because their times are unknown or span too few hours. The intervals leave"
            " out how hours and days differ."
        )
    return f"Whole {drawn} are drawn, as their events have much in common. Single events would seem too sure."
