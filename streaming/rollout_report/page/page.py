"""The whole page: what the labels say, the difference over time, the arms, the steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streaming.page.markup import Child, Element, tag
from streaming.page.parts import fact, section
from streaming.page.shell import document, write_html
from streaming.rollout.intervals import CANDIDATE
from streaming.rollout.judge import FEWEST_DAYS
from streaming.rollout_report.differences import POWER, ArmsComparison
from streaming.rollout_report.page.plots import difference_plot
from streaming.rollout_report.page.tables import arms_sections, judge_section, steps_section
from streaming.rollout_report.report import RolloutReport
from streaming.rollout_report.words import cautions, decisive, difference_text, finding_of, time_text, way
from streaming.version import __version__
from streaming.words import number, plural, share

_STYLE = Path(__file__).with_name("style.css")


def write_rollout_page(report: RolloutReport, path: Path) -> None:
    """Write the page; its folder is made if need be. Raises ``OSError``."""
    write_html(rollout_page(report), path)


def rollout_page(report: RolloutReport) -> str:
    """Return the page's HTML."""
    title = f"Is {report.model} v{report.candidate} worse than the champion?"
    about = f"Rollout {report.rollout} of application {report.application}, by the labels that came."
    return document(
        title,
        _STYLE,
        tag("header", tag("h1", title), tag("p", about)),
        tag("main", list(_sections(report))),
        tag("footer", f"Made by Penstock {__version__}. All numbers are in the JSON of the same command."),
    )


def _sections(report: RolloutReport) -> Iterator[Child]:
    yield _answer(report)
    yield _facts(report)
    yield _plots(report)
    yield _ways(report)
    yield from arms_sections(report)
    yield steps_section(report)
    yield judge_section(report) if report.judged else None
    yield _reading(report)


def _answer(report: RolloutReport) -> Element:
    comparison = decisive(report)
    finding = finding_of(comparison)
    title = f"{finding.value.capitalize()} {way(comparison)}"
    sentence = comparison.sentence.partition(": ")[2]
    lines = [tag("p", f"{sentence[0].upper()}{sentence[1:]}."), *(tag("p", text) for text in cautions(report))]
    return tag("section", tag("div", tag("strong", title), lines), class_=f"verdict {finding.value.replace(' ', '-')}")


def _facts(report: RolloutReport) -> Element:
    candidates = [arm for arm in report.arms if arm.role == CANDIDATE]
    champions = [arm for arm in report.arms if arm.role != CANDIDATE]
    parts = []
    for name, arms in (("candidate", candidates), ("champion", champions)):
        events, labelled = sum(arm.events for arm in arms), sum(arm.labelled for arm in arms)
        coverage = f"{share(labelled / events)} have a label" if events else "nothing is due"
        parts.append((name, f"{labelled:,}", f"of {plural(events, 'event')}; {coverage}"))
    last = report.steps[-1] if report.steps else None
    parts.append(("state", last.phase if last else "planned", last.why if last else ""))
    parts.append(("days", f"{len(decisive(report).days):,}", time_text(decisive(report), report.margin)))
    return tag("dl", [fact(*each) for each in parts], class_="facts")


def _plots(report: RolloutReport) -> Element:
    comparisons = [each for each in (report.paired, report.unpaired) if each is not None]
    keys = [
        tag("span", "the mean day so far ", class_="key mean"),
        tag("span", "its bounds ", class_="key band"),
        tag("span", "a single day ", class_="key day"),
        tag("span", f"gross harm, {number(report.margin)} ", class_="key harm") if report.margin else None,
        tag("span", f"no worse, {number(report.tolerated)} ", class_="key no-worse") if report.tolerated else None,
    ]
    lead = tag("p", keys, "A vertical line is where the candidate got another share of the keys.")
    plots = [plot for each in comparisons if (plot := difference_plot(report, each)) is not None]
    nothing = tag("p", "No day has labels of both versions that are all due.")
    return section("The difference over time", lead, tag("div", plots, class_="figures") if plots else nothing)


def _ways(report: RolloutReport) -> Element:
    rows = [_way(each) for each in (report.paired, report.unpaired) if each is not None]
    titles = ["compared", "labelled events", "days", "mean day's difference", "between days", "days needed", "to come"]
    head = tag("thead", tag("tr", [tag("th", title) for title in titles]))
    margin = "" if report.margin is None else f" of {number(report.margin)}"
    lead = (
        f"Days are needed to find gross harm{margin} with a chance of {POWER:g}. They grow with the square of the"
        " deviation between days."
    )
    table = tag("table", head, tag("tbody", rows), class_="named")
    return section("Paired and unpaired", tag("p", lead), tag("div", table, class_="wide"))


def _way(comparison: ArmsComparison) -> Element:
    difference, _, bounds = difference_text(comparison).partition(", ")
    cells = (
        f"{comparison.events:,}",
        f"{len(comparison.days):,}",
        (difference, tag("small", bounds) if bounds else None),
        "-" if comparison.deviation is None else number(comparison.deviation),
        *("-" if count is None else f"{count:,}" for count in (comparison.needed, comparison.missing)),
    )
    return tag("tr", tag("th", way(comparison)), [tag("td", cell) for cell in cells])


def _reading(report: RolloutReport) -> Element:
    bounds = (
        f"The bounds hold at every day at once: an equal candidate is called harmful at most with a chance of"
        f" {report.alpha:g}, however often one looks. Harm is when the lower bound is above zero. The candidate is no"
        f" worse when the upper bound is below {report.tolerated:g}. Nothing is said before {FEWEST_DAYS} days."
    )
    days = (
        "Each day counts once, by its mean, because events of a day are alike. A day counts when the stream and the"
        " clock have passed it and its labels."
    )
    same = (
        "On the same events the noise of the events themselves falls away, so few labels are enough. The day's"
        " difference is then between two answers to one event, and not between two kinds of events."
    )
    return section("How to read it", [tag("p", line) for line in (bounds, days, same)])
