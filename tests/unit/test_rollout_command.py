"""``penstock rollout size`` as it is typed."""

from __future__ import annotations

import json

import pytest

from jobs.command import main as cli
from streaming.rollout.size import Question, sizes

QUESTION = ("--error-rate", "0.22", "--worse-by", "0.01", "--disagree", "0.05")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as raised:
        cli.main(["rollout", "size", *arguments])
    return int(raised.value.code or 0)


def test_both_ways_to_compare_are_shown_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*QUESTION, "--events-per-day", "900", "--day-deviation", "0.01") == 0
    shown = capsys.readouterr().out
    question = Question(error_rate=0.22, worse_by=0.01, disagree=0.05)
    for variance in (question.paired_variance, question.unpaired_variance):
        needed = sizes(variance, question)
        assert f"{needed.once:,}" in shown
        assert f"{needed.always:,}" in shown
    assert "days are those of the judge" in " ".join(shown.split())


def test_it_says_what_is_left_out_where_days_are_not_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*QUESTION) == 0
    assert "takes events as independent" in capsys.readouterr().out
    assert run(*QUESTION, "--events-per-day", "900") == 0
    assert "takes days as alike" in capsys.readouterr().out


def test_json_has_one_object_for_each_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*QUESTION, "--json", "-") == 0
    same, own = map(json.loads, capsys.readouterr().out.splitlines())
    assert (same["events"], own["events"], same["days"]) == ("same", "own", None)
    assert 0 < same["once"] < same["always"] < own["once"]


def test_numbers_that_contradict_each_other_end_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--error-rate", "0.22", "--worse-by", "0.01", "--disagree", "0.5") == 2
    assert "disagree on a share of at least 0.01 and at most 0.45" in capsys.readouterr().err


def test_a_deviation_of_days_without_events_a_day_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*QUESTION, "--day-deviation", "0.1") == 2
    assert "with --events-per-day" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--worse-by", "1e-9"), id="events"),
        pytest.param(("--worse-by", "0.01", "--events-per-day", "900", "--day-deviation", "1e9"), id="days"),
    ],
)
def test_a_difference_that_nothing_finds_ends_with_a_sentence(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--error-rate", "0.22", "--disagree", "0.05", *arguments) == 2
    assert "is not found by any number of events or days" in capsys.readouterr().err
