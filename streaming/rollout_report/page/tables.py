"""The page's tables: the arms with their quality, and the steps with their reasons."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.quality import VersionQuality
from streaming.page.markup import Element, tag
from streaming.page.parts import section
from streaming.quality.words import (
    NOT_DUE,
    age_text,
    coverage_text,
    figure_text,
    interval_text,
    labelled_text,
    metrics_of,
    version_text,
)
from streaming.rollout_report.judged import power_text
from streaming.rollout_report.report import RolloutReport
from streaming.rollout_report.words import step_text


def arms_sections(report: RolloutReport) -> Iterator[Element]:
    """Yield the quality of each arm, a table for each kind of model, and which share of it had labels by age."""
    for kind in dict.fromkeys(arm.kind for arm in report.arms):
        arms = [arm for arm in report.arms if arm.kind == kind]
        titles = ["version", "labelled", *(metric.title for metric in metrics_of(kind))]
        lead = (
            "Over the days whose labels are all due. A metric's 95% interval, where it has one, is below it. The arms"
            " had events of their own, so a difference may be one of the events."
        )
        yield section("Each arm", tag("p", lead), _table(titles, [_quality(arm) for arm in arms]))
    if report.arms:
        ages = [age_text(each.seconds) for each in report.arms[0].coverage]
        rows = [
            tag("tr", tag("th", version_text(arm)), [tag("td", coverage_text(each)) for each in arm.coverage])
            for arm in report.arms
        ]
        lead = "The share of predictions whose label had come so long after the event. Arms should not differ in it."
        yield section("Labels by age", tag("p", lead), _table(["version", *ages], rows))


def steps_section(report: RolloutReport) -> Element:
    """Return the transitions in order, with what they were for."""
    rows = []
    for step in report.steps:
        first = NOT_DUE if step.first_event is None else step.first_event[:16].replace("T", " ")
        cells = tag("td", step_text(step)), tag("td", step.why), tag("td", first), tag("td", str(step.weight_epoch))
        rows.append(tag("tr", tag("th", step.at[:19].replace("T", " ")), cells))
    lead = "When the job went on, by its clock, and why. A step's first event is by the events' own time."
    titles = ["at (UTC)", "came to", "because", "first event (UTC)", "weight epoch"]
    return section("The steps", tag("p", lead), _table(titles, rows, "steps"))


def judge_section(report: RolloutReport) -> Element:
    """Return what each check of the judge said of each step at last."""
    rows = []
    for judged in report.judged:
        at = f"weight epoch {judged.weight_epoch}"
        for check in judged.checks:
            cells = check.check, check.sentence, f"{check.count:,}", power_text(check.check, dry_run=check.dry_run)
            rows.append(tag("tr", tag("th", at), [tag("td", cell) for cell in cells]))
            at = ""
    lead = (
        "The last look at each step that was judged. Harm by one check rolls the candidate back; alpha is the chance"
        " that the check ever says so of an equal candidate."
    )
    titles = ["step", "check", "says", "looked at", "may do"]
    return section("The judge", tag("p", lead), _table(titles, rows, "steps"))


def _quality(arm: VersionQuality) -> Element:
    figures = []
    for metric in metrics_of(arm.kind):
        figure = arm.figure(metric.name)
        interval = interval_text(figure)
        figures.append(tag("td", figure_text(figure), tag("small", interval) if interval else None))
    return tag("tr", tag("th", version_text(arm)), tag("td", labelled_text(arm)), figures)


def _table(titles: list[str], rows: list[Element], class_: str = "named") -> Element:
    head = tag("thead", tag("tr", [tag("th", title) for title in titles]))
    return tag("div", tag("table", head, tag("tbody", rows), class_=class_), class_="wide")
