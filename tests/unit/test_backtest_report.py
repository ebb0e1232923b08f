"""The reports: JSON that keeps its contract, a page that shows whatever an event holds and lets none of it act."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rich.console import Console

from jobs.verbs.replay.backtest_display import show_comparison
from jobs.verbs.replay.options import ComparisonOptions
from streaming.backtest.comparison import Comparison, compare
from streaming.backtest.disagreements import PartitionOffset
from streaming.backtest.options import Names, Options
from streaming.backtest.page.page import page
from streaming.backtest.paired import pair
from streaming.backtest.report import as_json, write_report
from streaming.errors import ConfigurationError
from streaming.words import share
from tests.support.backtests import NAMES, a_comparison, labels, side, times
from tests.support.laws import examples
from tests.support.pages import HOSTILE, Page, assert_plots_have_titles, assert_self_contained

CONTRACT = json.loads((Path(__file__).parents[2] / "schemas" / "contracts" / "backtest_report.json").read_text("utf-8"))
OPTIONS = Options(replicates=20)


def two_events(word: str, value: bytes | None) -> Comparison:
    """A comparison in which a word stands wherever data can put one."""
    first = side([0.1, 0.9], event_id=[word, "b"], label=["no", word], reason=[None, None])
    second = side([0.8, 0.2], 2, event_id=[word, "b"], label=[word, "no"])

    def values(places: Sequence[PartitionOffset]) -> Mapping[PartitionOffset, bytes | None]:
        return dict.fromkeys(places, value)

    return compare(pair(first, second), Names(word, word, word), None, values, OPTIONS)


def three_kinds() -> list[Any]:
    many = [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]
    several = pair(
        side([0.1, 0.2], probability=many, prediction=[0.0, 2.0]),
        side([0.1, 0.2], probability=many[::-1], prediction=[2.0, 0.0]),
    )
    numbers = pair(
        *(side([0.1, 0.2], probability=[None] * 2, prediction=[-more, 7.25]) for more in (1e9, 2.0)),
    )
    bare = pair(*(side([0.1], probability=[None], prediction=[code]) for code in (0.0, 1.0)))
    return [
        pytest.param(a_comparison(), id="two classes with labels and times"),
        pytest.param(a_comparison(1_000, (0.7, 2.0)), id="a worse candidate by days"),
        pytest.param(two_events("yes", None), id="without labels"),
        pytest.param(compare(several, NAMES, labels(["0", "1"]), options=OPTIONS), id="several classes"),
        pytest.param(compare(numbers, NAMES, labels([1, 2]), options=OPTIONS), id="numbers"),
        pytest.param(compare(bare, NAMES, labels(["0"]), options=OPTIONS), id="no probabilities"),
        pytest.param(compare(pair(side([0.4]), side([0.4])), NAMES, labels(["0"]), options=OPTIONS), id="one event"),
    ]


every_kind = pytest.mark.parametrize("comparison", three_kinds())


@every_kind
def test_both_files_are_written_and_the_json_keeps_its_contract(comparison: Comparison, tmp_path: Path) -> None:
    machines, people = write_report(comparison, tmp_path / "new" / "report")
    result = json.loads(machines.read_text("utf-8"), parse_constant=pytest.fail)
    Draft202012Validator(CONTRACT).validate(result)
    assert result == as_json(comparison)
    assert people.read_text("utf-8") == page(comparison)


def test_the_contract_names_every_field_and_no_other() -> None:
    result = as_json(a_comparison())
    assert set(CONTRACT["properties"]) == set(CONTRACT["required"]) == set(result)
    assert CONTRACT["additionalProperties"] is False
    assert set(CONTRACT["$defs"]["labelled"]["properties"]) == set(result["labelled"])
    assert set(CONTRACT["$defs"]["disagreement"]["properties"]) == set(result["disagreements"][0])


@every_kind
def test_the_page_loads_nothing_runs_nothing_and_is_well_formed(comparison: Comparison) -> None:
    assert_self_contained(page(comparison))


@every_kind
def test_every_plot_says_what_it_shows_to_those_who_cannot_see_it(comparison: Comparison) -> None:
    assert_plots_have_titles(page(comparison))


@pytest.mark.parametrize("value", [HOSTILE.encode(), HOSTILE.encode() + b"\xff", json.dumps({"a": HOSTILE}).encode()])
def test_whatever_an_event_holds_is_text(value: bytes) -> None:
    tame = Page(page(two_events("x", b"{}")))
    result = Page(page(two_events(HOSTILE, value)))
    assert result.shape == tame.shape
    assert not {"\x1b", "\u202e"} & set(result.text)


@examples(25)
@given(st.text(min_size=1).filter(lambda word: word != "no"), st.binary())
def test_no_text_changes_the_page_or_acts_on_the_terminal(word: str, value: bytes) -> None:
    comparison = two_events(word, value)
    result = page(comparison)
    assert Page(result).shape == Page(page(two_events("x", b"{}"))).shape
    assert all(char.isprintable() or char in "\n\t" for char in result)
    assert all(char.isprintable() or char == "\n" for char in printed(comparison))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param('{"a": 1, "b": [2]}', '{\n "a": 1,\n "b": [\n  2\n ]\n}', id="JSON, a member a line"),
        pytest.param('{"a": 1.50, "a": 2}', '{"a": 1.50, "a": 2}', id="what would not come out the same"),
        pytest.param("[" * 9_000, "[" * 4_096 + "\n... of 9,000 characters; report.json has all", id="long"),
    ],
)
def test_an_event_is_shown_as_it_is(text: str, shown: str) -> None:
    assert shown in Page(page(two_events("x", text.encode()))).text


def test_the_page_answers_before_it_explains() -> None:
    text = Page(page(a_comparison())).text
    answer, metrics, events = (text.index(word) for word in ("The candidate is better", "By the labels", "Largest"))
    assert answer < metrics < events
    assert "from 2013-06-01 00:00 to 2013-06-09 07:30 UTC" in text


def printed(comparison: Comparison) -> str:
    out = StringIO()
    show_comparison(Console(file=out, width=200), comparison)
    return out.getvalue()


@every_kind
def test_the_terminal_has_verdict_agreement_and_metrics(comparison: Comparison) -> None:
    text = printed(comparison)
    assert comparison.verdict.word.value.capitalize() in text
    assert share(comparison.agreement.value) in text
    assert "nan" not in text
    for compared in comparison.labelled.metrics if comparison.labelled else ():
        assert compared.metric.title in text


def test_a_word_in_brackets_is_no_markup_on_the_terminal() -> None:
    assert "[bold]x[/bold]" in printed(two_events("[bold]x[/bold]", None))


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(ComparisonOptions(against=Path("a")), id="another replay"),
        pytest.param(ComparisonOptions(labels=Path("l")), id="labels"),
        pytest.param(ComparisonOptions(method=Options(metric="auc")), id="a metric"),
    ],
)
def test_options_of_a_comparison_that_nobody_asked_for_are_refused(options: ComparisonOptions) -> None:
    assert not options.requested
    with pytest.raises(ConfigurationError, match="say with --compare or --html"):
        options.check()


@pytest.mark.parametrize("target", ["report", "html"])
def test_a_folder_or_a_page_asks_for_a_comparison(target: str) -> None:
    options = ComparisonOptions(method=Options(positive="late"), **{target: Path("report")})
    options.check()
    assert options.requested
    assert not ComparisonOptions().requested


def test_an_unknown_metric_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"--metric acc is not valid; use one of accuracy, auc"):
        ComparisonOptions(report=Path("report"), method=Options(metric="acc")).check()


def test_times_are_spelled_out_once() -> None:
    made = side([0.1, 0.9], event_time=times(2))
    assert compare(pair(made, made), NAMES).coverage.last == "2013-06-01T00:30:00.000Z"
