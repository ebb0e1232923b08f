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
    return section("What was compared, and how", _outcomes(comparison), _sides(comparison), list(_words(comparison)))


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


def _words(comparison: Comparison) -> Iterator[Element]:
    yield tag("p", "Only events that both sides predicted are compared; the table above has the others.")
    labelled, confidence = comparison.labelled, f"{comparison.options.confidence:.0%}"
    if labelled is not None:
        drawn = labelled.method
        yield tag(
            "p",
            f"The metrics' intervals hold {confidence} of {drawn.replicates:,} repetitions of this comparison, each on"
            f" {drawn.units:,} {drawn.drawn} drawn from these with replacement, the same for both sides (a paired"
            f" bootstrap, seed {comparison.options.seed}). {_why(drawn.drawn)}",
        )
    yield tag(
        "p",
        f"The agreement's interval is Wilson's, with {confidence}; it takes"
        f" {plural(comparison.coverage.both, 'event')} as independent, and is too narrow where they are not.",
    )
    yield tag(
        "p",
        "A backtest flatters a candidate that was trained on these very events: see that its training data end before"
        " they begin. And nothing here had consequences: where predictions change what happens next, only a trial on"
        " live traffic tells.",
    )


def _why(drawn: str) -> str:
    if drawn == "events":
        return (
            "Events were drawn one by one, because their times are unknown or span too few hours: what distinguishes"
            " one hour or day from the next is not in the intervals."
        )
    return f"Whole {drawn} are drawn because their events have much in common; one by one they would seem surer."
