"""The whole page: the answer first, then the reasons for it, then the events."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from pathlib import Path

from streaming.backtest.comparison import Comparison
from streaming.backtest.coverage import REFUSED
from streaming.backtest.page.changes import changes
from streaming.backtest.page.events import disagreements
from streaming.backtest.page.marks import headline
from streaming.backtest.page.method import method
from streaming.backtest.page.parts import key, meaning
from streaming.backtest.page.truth import truth_sections
from streaming.backtest.verdict import Word
from streaming.page.markup import Element, tag
from streaming.page.parts import fact
from streaming.page.shell import document
from streaming.version import __version__
from streaming.words import plural, share

_STYLE = Path(__file__).with_name("style.css")
_ANSWERS = {
    Word.BETTER: "The candidate is better",
    Word.WORSE: "The candidate is worse",
    Word.NOT_TOLD: "This data does not tell",
    Word.SAME: "Nothing would change",
}


def page(comparison: Comparison) -> str:
    """Return the page's HTML."""
    title = f"Would you promote {comparison.names.candidate}?"
    return document(
        title,
        _STYLE,
        tag("header", tag("h1", title), tag("p", _about(comparison))),
        tag("main", _verdict(comparison), _facts(comparison), list(_sections(comparison))),
        tag("footer", f"Made by Penstock {__version__}. All numbers are in report.json beside this page."),
    )


def _about(comparison: Comparison) -> list[Element | str]:
    coverage, names = comparison.coverage, comparison.names
    when: list[Element | str] = []
    if coverage.first and coverage.last:
        when = [", from ", _minute(coverage.first), " to ", _minute(coverage.last), " UTC"]
    return [
        key("candidate", names.candidate),
        " against ",
        key("recorded", names.recorded),
        f", on {plural(coverage.events, 'event')} of {names.source}",
        *when,
        ".",
    ]


def _minute(time: str) -> Element:
    return tag("span", time[:16].replace("T", " "), class_="whole")


def _verdict(comparison: Comparison) -> Element:
    verdict, labelled = comparison.verdict, comparison.labelled
    but = tag("ul", [tag("li", text) for text in verdict.but]) if verdict.but else None
    parts = [tag("strong", _ANSWERS[verdict.word]), tag("p", verdict.sentence), but]
    plot = None
    for measured in labelled.metrics if labelled else ():
        if measured.metric.name == verdict.metric and isfinite(measured.difference.value):
            parts.append(tag("p", f"{measured.metric.title}: {meaning(measured, comparison.positive)}.", class_="soft"))
            plot = tag("div", headline(measured))
    return tag("section", tag("div", parts), plot, class_=f"verdict {verdict.word.value.replace(' ', '-')}")


def _facts(comparison: Comparison) -> Element:
    coverage, agreement = comparison.coverage, comparison.agreement
    before = sum(outcome.events for outcome in coverage.outcomes if outcome.recorded == REFUSED)
    after = sum(outcome.events for outcome in coverage.outcomes if outcome.candidate == REFUSED)
    facts = (
        ("events compared", f"{coverage.both:,}", f"of {coverage.events:,}"),
        ("same answer", share(agreement.value), f"{share(agreement.low)} to {share(agreement.high)}"),
        ("with a label", f"{coverage.labelled:,}", f"{share(coverage.labelled / coverage.both)} of those compared"),
        ("refused by the candidate", f"{after:,}", f"{before:,} on the recorded side"),
    )
    return tag("dl", [fact(*each) for each in facts], class_="facts")


def _sections(comparison: Comparison) -> Iterator[Element | None]:
    truth = list(truth_sections(comparison))
    yield from truth[:1]
    yield changes(comparison)
    yield from truth[1:]
    yield disagreements(comparison)
    yield method(comparison)
