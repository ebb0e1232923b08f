"""Alerts: told once, by what the real judge says of window after window, and never what people know already."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.drift import SummaryRecord
from schemas.drift_alert import DriftAlert
from streaming.drift.alerts import Alerts, ReportedState, decide
from tests.support.drift_reports import Watch
from tests.support.drifts import unhurried

CONTRACT = json.loads((Path(__file__).parents[2] / "schemas" / "contracts" / "drift_alert.json").read_text("utf-8"))
CALM, MOVED, FEW = 0.0, 0.4, None


class Kept:
    def __init__(self) -> None:
        self.alerts: list[DriftAlert] = []

    def send(self, alert: DriftAlert, /) -> None:
        self.alerts.append(alert)


def watched(shifts: Sequence[float | None], **more: Any) -> list[SummaryRecord]:
    """Windows whose first column is shifted by so many deviations; with too few rows where there is no number."""
    watch = Watch(columns=3, **more)
    return [watch.window(shift or 0.0, rows=2_000 if shift is not None else 20) for shift in shifts]


def alerts(summaries: Sequence[SummaryRecord], sent: Sequence[DriftAlert] = ()) -> list[DriftAlert]:
    kept = Kept()
    look = Alerts([kept], sent)
    for summary in summaries:
        look(summary)
    return kept.alerts


def states(found: Sequence[DriftAlert]) -> list[tuple[str, str]]:
    return [(alert.before, alert.state) for alert in found]


WARNED, DRIFTED, BACK, OVER = ("stable", "warning"), ("warning", "drift"), ("warning", "stable"), ("drift", "stable")


@pytest.mark.parametrize(
    ("shifts", "reported"),
    [
        pytest.param([CALM] * 5, [], id="nothing happens"),
        pytest.param([CALM, MOVED, CALM], [WARNED, BACK], id="one odd window"),
        pytest.param([MOVED] * 6, [WARNED, DRIFTED], id="drift is told once, however long"),
        pytest.param([MOVED, MOVED, CALM, CALM, CALM], [WARNED, DRIFTED, OVER], id="it comes back"),
        pytest.param([MOVED, MOVED, CALM, MOVED, CALM, MOVED], [WARNED, DRIFTED], id="one calm window is not enough"),
        pytest.param([MOVED, MOVED, FEW, FEW, MOVED], [WARNED, DRIFTED], id="windows with few rows change nothing"),
        pytest.param([FEW, FEW], [], id="nothing is known"),
    ],
)
def test_people_are_told_when_something_changes(
    shifts: Sequence[float | None], reported: Sequence[tuple[str, str]]
) -> None:
    assert states(alerts(watched(shifts))) == reported


def test_an_alert_says_which_columns_and_how_large() -> None:
    warned, drifted, over = alerts(watched([MOVED, MOVED, CALM, CALM]))
    assert (warned.entered, warned.warned, warned.drifting) == ((), ("c0",), ())
    assert (drifted.entered, drifted.warned, drifted.drifting) == (("c0",), (), ("c0",))
    assert (over.left, over.drifting, over.severity) == (("c0",), (), "negligible")
    assert drifted.severity == "moderate"
    assert drifted.sentence.startswith("flights v1 drifts: c0 rose by 0.")
    assert warned.sentence.startswith("flights v1 may be drifting: c0 rose by 0.")
    assert over.sentence == "flights v1: drift is over in c0; all columns match the reference"


def test_a_second_column_is_news_and_the_first_one_is_not_told_again() -> None:
    watch = Watch(columns=3)
    result = alerts([watch.window(MOVED), watch.window(MOVED), *(watch.window(MOVED, MOVED) for _ in range(3))])
    assert [alert.entered for alert in result] == [(), ("c0",), ("c1",)]
    assert result[-1].drifting == ("c0", "c1")


def test_versions_are_told_apart() -> None:
    first, second = watched([MOVED] * 3), watched([MOVED] * 3, version=2)
    result = alerts([one for both in zip(first, second, strict=True) for one in both])
    assert [(alert.window.version, alert.state) for alert in result] == [
        (1, "warning"),
        (2, "warning"),
        (1, "drift"),
        (2, "drift"),
    ]


@unhurried
@given(st.lists(st.sampled_from([CALM, MOVED, FEW]), max_size=7), st.integers(0, 7))
def test_a_restart_neither_repeats_nor_forgets(shifts: list[float | None], at: int) -> None:
    """Behind a restart the last alerts on the topic are what people know; windows may be published again."""
    summaries = watched(shifts)
    before = alerts(summaries[:at])
    again = [DriftAlert.from_dict(json.loads(alert.to_json())) for alert in before]
    assert before + alerts(summaries[at:], again) == alerts(summaries)


@unhurried
@given(st.lists(st.sampled_from([CALM, MOVED, FEW]), max_size=7))
def test_each_alert_is_a_change_and_keeps_the_contract(shifts: list[float | None]) -> None:
    result = alerts(watched(shifts))
    for earlier, following in zip([None, *result], result, strict=False):
        assert following.before == (earlier.state if earlier else "stable")
        assert following.entered or following.left or following.state != following.before
        Draft202012Validator(CONTRACT).validate(following.to_dict())
    assert len({alert.id for alert in result}) == len(result)


def test_the_contract_names_every_field_and_no_other() -> None:
    names = [field.name for field in fields(DriftAlert) if field.name != "window"]
    assert list(CONTRACT["properties"])[7:] == names
    assert CONTRACT["required"] == list(CONTRACT["properties"])
    assert list(alerts(watched([MOVED]))[0].to_dict()) == CONTRACT["required"]


def test_a_listener_in_trouble_keeps_nobody_else_from_hearing() -> None:
    class Broken:
        def send(self, alert: DriftAlert, /) -> None:
            raise RuntimeError(alert.sentence)

    kept = Kept()
    look = Alerts([Broken(), kept])
    for summary in watched([MOVED, MOVED]):
        look(summary)
    assert len(kept.alerts) == 2


def test_dead_letters_are_called_so() -> None:
    watch = Watch(columns=2)
    result = alerts([watch.window(0.0, invalid=400) for _ in range(2)])
    assert "dead letters" in result[-1].sentence
    assert result[-1].entered == ("invalid",)


def test_a_column_that_is_no_longer_looked_at_is_over() -> None:
    last = watched([MOVED, MOVED])[-1]
    without = replace(last, columns=last.columns[1:], moved=())
    alert = decide(ReportedState(frozenset({"c0"})), without)
    assert alert is not None
    assert alert.left == ("c0",)
