"""The report as a page, a table and JSON: the last mature window first, early ones marked, nothing that runs."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from rich.console import Console

from jobs.verbs.quality.display import show_quality
from jobs.verbs.quality.options import QualityOptions
from streaming.errors import ConfigurationError
from streaming.quality.cohort import MatureCohort
from streaming.quality.page.page import quality_page
from streaming.quality.report import QualityReport, quality_report
from streaming.quality.windows import WindowShape
from tests.support.labels import DAY, DUE, label, of_day, predicted
from tests.support.qualities import SHAPE, a_quality_report

REPORT = a_quality_report()


class Texts(HTMLParser):
    """Collects the page's tags, and its text outside of the style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data if self.tags[-1:] != ["style"] else ""


def shown(report: QualityReport, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    show_quality(report, console)
    output: str = console.file.getvalue()  # type: ignore[attr-defined]
    return output


def test_the_page_answers_with_the_last_mature_window_and_marks_early_ones() -> None:
    page = Texts(quality_page(REPORT))
    assert "In the last mature window, 2013-06-10" in page.text
    assert page.text.count("early: labels are due") == 4
    assert "Unpaired" in page.text
    assert page.tags.count("svg") == 9


def test_the_page_has_nothing_that_runs_whatever_a_slice_is_called() -> None:
    evil = "<script>alert(1)</script>\x1b[2J"
    html = quality_page(a_quality_report(days=4, carriers=(evil, "UA")))
    page = Texts(html)
    assert "script" not in page.tags
    assert evil.replace("\x1b", "\\x1b") in page.text
    assert "\x1b" not in html


@pytest.mark.parametrize("cohorts", [[], "early"], ids=["no window", "no mature window"])
def test_a_page_without_an_answer_says_so(cohorts: object) -> None:
    report = a_quality_report(days=2) if cohorts else quality_report(("penstock", "flights"), None, [])
    text = Texts(quality_page(report)).text
    assert ("No window is mature yet" if cohorts else "no window with predictions") in text


def test_the_terminal_has_a_line_for_each_window_and_version_and_fits_80_columns() -> None:
    text = shown(REPORT)
    assert len([line for line in text.splitlines() if line.startswith(" 2013-06")]) == 20
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    assert "Nothing may be decided" in text.replace("\n", " ")
    nothing = " ".join(shown(quality_report(("penstock", "flights"), None, [])).split())
    assert "no predictions in that time that were written within quality.lateness_seconds" in nothing


def test_what_has_no_room_on_the_terminal_is_broken_between_words_and_never_cut_off() -> None:
    events = [predicted(number, 1.0, (0.1, 0.9), role="candidate", version=12) for number in range(60)]
    window = WindowShape(timedelta(hours=1), timedelta(hours=1)).at(DAY + timedelta(hours=5, minutes=30))
    versions = of_day(events, [label(number, str(number % 2)) for number in range(60)])
    text = shown(quality_report(("penstock", "flights"), None, [MatureCohort(window, versions)]))
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    assert {"2013-06-01", "05:00", "v12", "(candidate)", "60", "0.5000", "mature"} <= set(text.split())


def test_the_terminal_says_why_labels_that_came_do_not_count() -> None:
    events = [predicted(number, number % 2, (0.5, 0.5)) for number in range(4)]
    labels = [label(0, "1"), label(1, "maybe"), label(2, "1", known_at=DUE), label(3, "0", known_at=DUE)]
    cohort = MatureCohort(SHAPE.at(DAY), of_day(events, labels))
    text = " ".join(shown(quality_report(("penstock", "flights"), None, [cohort])).split())
    assert "Not counted, as it came after the horizon (quality.horizon_seconds): 2 labels." in text
    assert "Not counted, as it is no class of the model or no number: 1 label." in text


def test_the_json_has_every_number_and_is_strict() -> None:
    data = json.loads(json.dumps(REPORT.as_json(), allow_nan=False))
    assert [window["mature"] for window in data["windows"]] == [True] * 10 + [False] * 2
    assert data["windows"][0]["versions"][0]["metrics"][0]["name"] == "accuracy"
    assert data["paired"] is False


def test_past_errors_of_the_estimate_are_those_of_mature_windows_alone() -> None:
    errors = {(error.version, error.name): error for error in REPORT.estimate_errors}
    first = errors[1, "accuracy"]
    sizes = [
        abs(estimate.error)
        for window in REPORT.windows[:10]
        for version in window.versions
        for estimate in version.estimated
        if (version.version, estimate.name) == (1, "accuracy") and estimate.error is not None
    ]
    assert (first.windows, first.largest) == (10, max(sizes))
    assert first.mean == pytest.approx(sum(sizes) / 10)
    # The made-up probabilities are right, so the estimate is near.
    assert first.mean < 0.06


def test_numbers_have_a_page_and_a_table_too() -> None:
    from streaming.quality.cohort import MatureCohort
    from tests.support.labels import DAY

    versions = of_day([predicted(n, n + 0.5) for n in range(5)], [label(n, str(n)) for n in range(5)])
    report = quality_report(("penstock", "prices"), None, [MatureCohort(SHAPE.at(DAY), versions)])
    assert "Mean absolute error 0.5000" in Texts(quality_page(report)).text
    assert "0.5000" in shown(report)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(QualityOptions(follow=True, until="2013-06-02"), "--follow publishes", id="an end for a follower"),
        pytest.param(QualityOptions(since="soon"), "--from 'soon' is not a time", id="no time"),
        pytest.param(QualityOptions("2013-06-02", "2013-06-01"), "ends before it begins", id="turned round"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: QualityOptions, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        options.period()
