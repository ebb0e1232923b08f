"""The whole page: the answer first, then what moved and how, then the method."""

from __future__ import annotations

from pathlib import Path

from streaming.drift.page.method import method
from streaming.drift.page.prose import prose
from streaming.drift.page.sections import facts, sections
from streaming.drift.report.facts import Report, ReportAnswer, VersionReport
from streaming.drift.report.sentences import day
from streaming.page.markup import Element, tag
from streaming.page.shell import document
from streaming.version import __version__

_STYLE = Path(__file__).with_name("style.css")
_NOTHING = (
    "No window has been closed yet. `penstock drift run` counts the predictions and closes a window when its time and"
    " drift.lateness_seconds are over; an idle topic's windows are closed too."
)


def page(report: Report) -> str:
    """Return the page's HTML."""
    name = f"{report.model} v{report.versions[0].version}" if report.versions else report.model
    title = f"Does {name} see what it was trained on?"
    return document(
        f"Drift of {name}",
        _STYLE,
        tag("header", tag("h1", title), tag("p", prose(_about(report)))),
        tag("main", _main(report), method()),
        tag("footer", f"Made by Penstock {__version__} from the records of application {report.application}."),
    )


def _about(report: Report) -> str:
    if not report.versions:
        return f"Application {report.application}."
    newest = report.versions[0].windows[-1]
    return f"Application {report.application}, as of the window that ended at {day(newest.end)} UTC."


def _main(report: Report) -> list[Element | None]:
    if not report.versions:
        return [
            tag("section", tag("div", tag("strong", "No windows yet"), tag("p", prose(_NOTHING))), class_="verdict")
        ]
    newest, *older = report.versions
    parts = [_verdict(newest.answer), facts(newest), *sections(newest)]
    if older:
        parts.append(
            tag(
                "section",
                tag("h2", "Other versions"),
                tag("div", [_folded(version) for version in older], class_="versions"),
            )
        )
    return parts


def _verdict(answer: ReportAnswer) -> Element:
    but = tag("ul", [tag("li", prose(text)) for text in answer.but]) if answer.but else None
    block = tag("div", tag("strong", answer.words), tag("p", prose(answer.sentence)), but)
    return tag("section", block, class_=f"verdict is-{answer.state.value}")


def _folded(report: VersionReport) -> Element:
    until = day(report.windows[-1].end)
    summary = tag(
        "summary", tag("b", f"Version {report.version}"), tag("span", f"{report.answer.words}, as of {until}")
    )
    return tag("details", summary, _verdict(report.answer), facts(report), list(sections(report)))
