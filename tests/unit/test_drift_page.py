"""The drift page and its terminal twin: whatever the data is, it is shown and does nothing."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from jobs.verbs.drift.display import show_report
from schemas.drift import SummaryRecord
from streaming.clock import isoformat, moment
from streaming.drift.page.page import page
from streaming.drift.report.facts import Report
from streaming.drift.report.make import make_report
from tests.support.drift_reports import DAY, START, Watch, made
from tests.support.drifts import unhurried
from tests.support.pages import HOSTILE, Page, assert_plots_have_titles, assert_self_contained

KILOBYTE = 1024


def season(watch: Watch) -> list[SummaryRecord]:
    """Calm, drift of the first column, a gap, drift of the second as well, and a window with few rows."""
    first = [*(watch.window() for _ in range(2)), *(watch.window(0.4) for _ in range(3))]
    watch.skip()
    return [*first, *(watch.window(0.4, -0.4) for _ in range(3)), watch.window(rows=20)]


def named(word: str) -> Report:
    """A report in which a word stands wherever data can put one."""
    watch = Watch(columns=3, names=[word], category=word)
    records = [
        *(watch.window(0.4, 0.0, 0.6) for _ in range(3)),
        *(watch.window(0.4, 0.0, 0.6, invalid=900) for _ in range(3)),
    ]
    reported = [
        replace(record, window=replace(record.window, application=word, model=word), closed_by=word)
        for record in records
    ]
    return make_report(word, word, reported, {1: watch.profile})


def every_kind() -> list[object]:
    watch, bare, few, single = Watch(), Watch(), Watch(), Watch(columns=1)
    two = [Watch(version=number) for number in (1, 2)]
    versions = [record for one in two for record in season(one)]
    calm = Watch(columns=20)
    return [
        pytest.param(made(watch, season(watch)), id="drift"),
        pytest.param(made(calm, [calm.window() for _ in range(3)]), id="no drift in many columns"),
        pytest.param(make_report("penstock", "flights", season(bare), {}), id="without a profile"),
        pytest.param(made(few, [few.window(rows=20) for _ in range(2)]), id="too few rows"),
        pytest.param(made(single, [single.window()]), id="one window of one column"),
        pytest.param(make_report("a", "b", versions, {one.version: one.profile for one in two}), id="two versions"),
        pytest.param(make_report("penstock", "flights", [], {}), id="no windows"),
        pytest.param(named("x"), id="dead letters"),
    ]


each = pytest.mark.parametrize("report", every_kind())


@each
def test_the_page_loads_nothing_runs_nothing_and_is_well_formed(report: Report) -> None:
    assert_self_contained(page(report))


@each
def test_every_plot_says_what_it_shows_to_those_who_cannot_see_it(report: Report) -> None:
    assert_plots_have_titles(page(report))


@each
def test_page_and_terminal_say_the_same_answer_and_name_each_column(report: Report) -> None:
    text, printed = Page(page(report)).text, shown(report)
    for version in report.versions:
        assert version.answer.words in text
        assert version.answer.words in printed
        assert all(objection in text for objection in version.answer.but)
    for column in report.versions[0].columns if report.versions else ():
        assert column.name in text
        assert f" {column.name} " in printed
        assert column.sentence in text


def shown(report: Report) -> str:
    out = StringIO()
    show_report(Console(file=out, width=240), report)
    return out.getvalue()


def test_without_windows_it_says_what_to_do() -> None:
    report = make_report("penstock", "flights", [], {})
    assert "penstock drift run" in Page(page(report)).text
    assert "penstock drift run" in shown(report)


def test_the_page_answers_before_it_explains() -> None:
    watch = Watch()
    text = Page(page(made(watch, season(watch)))).text
    places = [
        text.index(word)
        for word in ("2 of 4 columns have drifted", "What moved first", "The windows", "The columns that moved")
    ]
    assert places == sorted(places)
    assert text.index("The other columns") < text.index("what it cannot see")


def test_states_have_a_mark_and_a_word_beside_their_colour() -> None:
    """Bars of another height, and a word at the end of each row: nobody needs to tell red from green."""
    watch = Watch()
    result = Page(page(made(watch, season(watch))))
    strips = [
        position for position, (_, attributes) in enumerate(result.elements) if attributes.get("class") == "strip"
    ]
    heights = {
        attributes["class"]: (attributes["d"] or "").split("V")[0].split()[1].split("h")[0]
        for tag, attributes in result.elements
        if tag == "path" and (attributes.get("class") or "").startswith("is-")
    }
    assert len(strips) >= 4
    assert len(set(heights.values())) == len(heights) == 4
    for word in (
        "matches the reference in 2 windows",
        "drift in 5 windows",
        "warning in 1 window",
        "too few rows in 1 window",
    ):
        assert word in result.text


def test_a_gap_is_told() -> None:
    watch = Watch()
    assert "There are no windows from 2013-06-06 to 2013-06-07" in Page(page(made(watch, season(watch)))).text


def test_the_rows_that_were_not_compared_are_told() -> None:
    watch = Watch()
    records = [replace(watch.window(invalid=7), late=1_234) for _ in range(3)]
    text = Page(page(made(watch, records))).text
    assert "3,702 rows came too late to be counted" in text
    assert "210.1% of all events" in text


def test_whatever_names_hold_is_text() -> None:
    result = Page(page(named(HOSTILE)))
    assert result.shape == Page(page(named("x"))).shape
    assert not {"\x1b", "\u202e"} & set(result.text)


@unhurried
@given(st.text(min_size=1).filter(lambda word: word not in ("c1", "c2", "invalid") and not word.startswith("as the ")))
def test_no_name_changes_the_page_or_acts_on_the_terminal(word: str) -> None:
    report = named(word)
    html = page(report)
    assert Page(html).open == []
    assert not {"script", "img"} & {tag for tag, _ in Page(html).elements}
    assert all(char.isprintable() or char in "\n\t" for char in html)
    assert all(char.isprintable() or char == "\n" for char in shown(report))


def test_hundreds_of_windows_and_fifty_columns_stay_small_and_folded() -> None:
    watch = Watch(columns=50)
    some = [*(watch.window() for _ in range(10)), *(watch.window(0.4) for _ in range(10))]
    many = [at(some[day % 20], day) for day in range(400)]
    html = page(made(watch, many))
    result = Page(html)
    assert len(html) < 1_000 * KILOBYTE
    folded = [attributes for tag, attributes in result.elements if tag == "details"]
    assert len(folded) >= 50
    assert not any("open" in attributes for attributes in folded)
    assert "38 more columns, which differ less" in result.text


def at(record: SummaryRecord, day: int) -> SummaryRecord:
    start, end = (isoformat(moment(START + (day + more) * DAY)) for more in (0, 1))
    return replace(record, window=replace(record.window, start=start, end=end))


def test_brackets_in_a_name_are_no_markup_on_the_terminal() -> None:
    assert "[bold]x[/bold]" in shown(named("[bold]x[/bold]"))
