"""The report's data and sentences, from windows that the real judge has judged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.terminal.json_output import JsonOutput
from schemas.drift import State, SummaryRecord
from schemas.movement import Movement, Shares, moved_share
from streaming.drift.report.facts import DEAD_LETTERS, Report, VersionReport
from streaming.drift.report.make import MOST_BINS, MOST_WINDOWS, make_report
from streaming.drift.report.options import DriftReportOptions
from streaming.drift.report.output import as_json
from streaming.drift.report.sentences import NO_MORE, what_moved
from streaming.drift.states import Severity
from streaming.errors import ConfigurationError
from tests.support.drift_reports import Watch, made
from tests.support.drifts import unhurried

NAMES = ("temp", "dewp", "dest")


def season() -> tuple[Watch, list[SummaryRecord]]:
    """The first column moves on the fourth day, the second on the sixth; eight days."""
    watch = Watch(names=NAMES, columns=4)
    calm = [watch.window() for _ in range(3)]
    first = [watch.window(0.4) for _ in range(2)]
    return watch, [*calm, *first, *(watch.window(0.4, -0.3) for _ in range(3))]


def version(watch: Watch, records: list[SummaryRecord]) -> VersionReport:
    return made(watch, records).versions[0]


def test_it_says_what_moved_since_when_how_much_and_in_which_order() -> None:
    report = version(*season())
    temp, dewp = report.column("temp"), report.column("dewp")
    assert report.moved == ("temp", "dewp")
    assert (temp.since[:10], dewp.since[:10]) == ("2013-06-04", "2013-06-06")
    assert [point.state.value for point in temp.points if point] == ["stable"] * 3 + ["warning"] + ["drift"] * 4
    assert temp.now is not None
    assert temp.now.severity is Severity.MODERATE
    assert temp.effect == pytest.approx(0.16, abs=0.05)
    assert temp.sentence.startswith("temp rose by 0.")
    assert temp.sentence.endswith("which is moderate, from 2013-06-04 on; it was the first of 2 columns to move.")
    assert dewp.sentence.startswith("dewp fell by 0.")
    assert dewp.sentence.endswith("from 2013-06-06 on; 1 column moved before it.")


def test_the_answer_names_columns_beginnings_and_sizes() -> None:
    answer = version(*season()).answer
    assert answer.state is State.DRIFT
    assert answer.words == "2 of 4 columns have drifted"
    assert answer.sentence.startswith(
        "temp (moderate) since 2013-06-04; dewp (small) since 2013-06-06. First, temp rose by 0."
    )
    assert answer.but == ()


@pytest.mark.parametrize(
    ("movement", "sentence"),
    [
        pytest.param(None, f"temp now differs {NO_MORE}, but not for long enough yet", id="none in this window"),
        pytest.param(Movement("level", -1, 1.2), "temp fell by 1.20 standard deviations", id="level"),
        pytest.param(
            moved_share("shape", Shares(0.1, 0.3), "1 to 2"),
            "temp has another shape (1 to 2: 10.0% to 30.0% of rows)",
            id="shape",
        ),
        pytest.param(
            moved_share("nulls", Shares(0.0, 0.2)), "temp is null in 20.0% of rows, 0.0% in the reference", id="nulls"
        ),
        pytest.param(
            moved_share("non_finite", Shares(0.1, 0.2)),
            "temp is not finite in 20.0% of rows, 10.0% in the reference",
            id="not finite",
        ),
        pytest.param(
            moved_share("unseen", Shares(0.0, 0.2)),
            "temp has values that the model was not shown in 20.0% of rows, 0.0% in the reference",
            id="new values",
        ),
        pytest.param(
            Movement("beyond", 1, 0.2, Shares(0.0, 0.2)),
            "temp is above all of the reference's values in 20.0% of rows",
            id="beyond",
        ),
        pytest.param(moved_share("invalid", Shares(None, 0.2)), "20.0% of rows became dead letters", id="dead letters"),
    ],
)
def test_a_movement_is_a_sentence_about_its_column(movement: Movement | None, sentence: str) -> None:
    assert what_moved("temp", movement) == sentence


def test_records_of_version_1_make_the_same_sentences() -> None:
    watch, records = season()
    records.append(watch.window(invalid=900))
    old = [json.loads(record.to_json()) for record in records]
    for column in (column for record in old for column in record["columns"]):
        del column["movement"]
    before, now = (version(watch, each) for each in ([SummaryRecord.from_dict(record) for record in old], records))
    assert [column.sentence for column in before.columns] == [column.sentence for column in now.columns]
    assert before.answer == now.answer


def test_columns_that_move_most_come_first() -> None:
    assert [column.name for column in version(*season()).columns[:2]] == ["temp", "dewp"]


def test_bins_have_names_and_shares_of_every_side() -> None:
    report = version(*season())
    temp = report.column("temp").bins
    assert [one.name for one in temp][:2] == ["below 1", "1 to 2"]
    assert temp[-1].name == "null"
    assert report.column("dest").bins[0].name == "below 1"
    assert report.column("c3").bins[0].name == "c0"
    for column in report.columns:
        for side in ("reference", "now", "worst"):
            assert sum(getattr(one, side) for one in column.bins) == pytest.approx(1.0 if column.bins else 0.0)
    top = temp[-2]
    assert top.now > 1.5 * top.reference


def test_the_farthest_window_is_the_one_with_the_largest_effect() -> None:
    watch = Watch()
    report = version(watch, [watch.window(), watch.window(0.9), watch.window(0.3), watch.window(0.3)])
    column = report.column("c0")
    assert column.worst is not None
    assert column.worst.place == 1
    assert column.bins[-2].worst > column.bins[-2].now > column.bins[-2].reference


@unhurried
@given(st.data())
def test_order_and_repetition_on_the_topic_change_nothing(data: st.DataObject) -> None:
    watch, records = season()
    sent = data.draw(st.permutations(records))
    again = data.draw(st.lists(st.sampled_from(records), max_size=5))
    assert made(watch, [*sent, *again]) == made(watch, records)


def test_of_a_window_that_was_sent_twice_the_last_counts() -> None:
    watch, records = season()
    assert version(watch, [*records, replace(records[0], rows=7)]).windows[0].rows == 7


def test_a_gap_is_noticed_and_neighbours_are_none() -> None:
    watch = Watch()
    first = [watch.window() for _ in range(2)]
    watch.skip(3)
    report = version(watch, [*first, watch.window()])
    assert [window.after_gap for window in report.windows] == [False, False, True]


def test_no_windows_is_a_report_too() -> None:
    assert make_report("penstock", "flights", [], {}) == Report("penstock", "flights", ())


def test_too_few_rows_are_said_to_be_too_few() -> None:
    watch = Watch()
    report = version(watch, [watch.window(rows=30) for _ in range(3)])
    assert report.answer.state is State.INSUFFICIENT
    assert report.answer.sentence.startswith("None of 3 windows had enough rows to compare.")
    assert {column.state for column in report.columns} == {State.INSUFFICIENT}
    assert all(column.now is None and not column.bins for column in report.columns)


def test_a_last_window_with_few_rows_does_not_hide_the_drift_before_it() -> None:
    watch = Watch()
    report = version(watch, [watch.window(0.4), watch.window(0.4), watch.window(0.4, rows=30)])
    assert report.answer.state is State.DRIFT
    assert report.judged == 1
    assert any("has only 30 rows" in words for words in report.answer.but)


def test_without_a_profile_there_are_states_but_no_distributions() -> None:
    _, records = season()
    report = make_report("penstock", "flights", records, {}).versions[0]
    assert report.moved == ("temp", "dewp")
    assert not any(column.bins for column in report.columns)
    assert report.answer.but[0].startswith("The reference profile is not available")


def test_a_version_that_never_had_a_profile_is_told_how_to_get_one() -> None:
    _, records = season()
    bare = [replace(one, columns=one.columns[-1:], moved=()) for one in records]
    report = make_report("penstock", "flights", bare, {}).versions[0]
    assert [column.name for column in report.columns] == [DEAD_LETTERS]
    assert "penstock drift baseline" in report.answer.but[0]


def test_a_drift_that_is_over_is_history() -> None:
    watch = Watch()
    report = version(watch, [watch.window(shift) for shift in (0.4, 0.4, 0.4, 0.0, 0.0, 0.0)])
    column = report.column("c0")
    assert report.answer.state is State.STABLE
    assert report.answer.but == ("c0 was in drift before and recovered.",)
    assert [(spell.since[:10], spell.until[:10]) for spell in column.spells] == [("2013-06-01", "2013-06-05")]
    assert "a drift went from 2013-06-01 to 2013-06-05" in column.sentence


def test_one_calm_window_does_not_end_a_drift() -> None:
    watch = Watch()
    report = version(watch, [watch.window(shift) for shift in (0.4, 0.4, 0.4, 0.0)])
    assert report.answer.state is State.DRIFT
    assert report.answer.sentence.startswith(
        "c0 has been in drift from the first window on (2013-06-01); the last window"
    )
    assert "not lasted long enough" in report.answer.sentence


def test_one_odd_window_is_a_warning_and_said_to_be_perhaps_chance() -> None:
    watch = Watch()
    report = version(watch, [watch.window(), watch.window(0.4)])
    assert report.answer.state is State.WARNING
    assert "a single such window may still be chance" in report.answer.sentence


def test_dead_letters_are_a_matter_of_their_own() -> None:
    watch = Watch()
    report = version(watch, [watch.window(invalid=500) for _ in range(3)])
    assert report.moved == (DEAD_LETTERS,)
    assert report.answer.words == "Too many dead letters"
    assert report.windows[0].moved == (DEAD_LETTERS,)


def test_versions_are_reported_apart_the_newest_window_first() -> None:
    old, new = Watch(version=1), Watch(version=2)
    records = [old.window(0.4) for _ in range(4)] + [new.window() for _ in range(6)]
    report = make_report("penstock", "flights", records, {1: old.profile, 2: new.profile})
    assert [(one.version, one.answer.state) for one in report.versions] == [(2, State.STABLE), (1, State.DRIFT)]


def test_of_very_many_windows_the_newest_are_reported() -> None:
    watch = Watch(columns=1)
    one = watch.window()
    window = one.window
    many = [
        replace(
            one, window=replace(window, start=f"{2000 + n}-01-01T00:00:00.000Z", end=f"{2001 + n}-01-01T00:00:00.000Z")
        )
        for n in range(MOST_WINDOWS + 10)
    ]
    report = version(watch, many)
    assert (len(report.windows), report.left_out) == (MOST_WINDOWS, 10)
    assert report.windows[0].start.startswith("2010")


def test_many_categories_become_those_that_tell_most_and_one_for_the_others() -> None:
    watch = Watch(columns=1)
    records = [watch.window() for _ in range(2)]
    column = watch.profile.columns[0]
    wide = replace(
        column,
        categories=tuple(f"k{position}" for position in range(40)),
        counts={**dict.fromkeys(range(40), 100), 7: 90_000},
    )
    report = make_report("penstock", "flights", records, {1: replace(watch.profile, columns=(wide,))}).versions[0]
    bins = report.column("c0").bins
    assert len(bins) <= MOST_BINS
    assert "k7" in [one.name for one in bins]
    assert any(one.name.endswith(" others") for one in bins)
    assert sum(one.reference for one in bins) == pytest.approx(1.0)


def test_json_is_strict_and_says_everything(tmp_path: Path) -> None:
    report = made(*season())
    JsonOutput(str(tmp_path / "new" / "drift.json")).write(as_json(report))
    result = json.loads((tmp_path / "new" / "drift.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert result == json.loads(json.dumps(as_json(report)))
    assert result["format"] == "penstock.drift.report.v1"
    assert result["versions"][0]["answer"]["state"] == "drift"


@pytest.mark.parametrize(
    ("choice", "days"),
    [
        pytest.param(DriftReportOptions(), "12345678", id="all of them"),
        pytest.param(DriftReportOptions(since="2013-06-03"), "345678", id="from a time on"),
        pytest.param(DriftReportOptions(until="2013-06-03"), "12", id="until a time"),
        pytest.param(DriftReportOptions(version=2), "", id="another version"),
        pytest.param(DriftReportOptions(window="5"), "12345", id="as it was after the fifth"),
        pytest.param(DriftReportOptions(window="500"), "12345678", id="more than there are"),
    ],
)
def test_windows_can_be_chosen(choice: DriftReportOptions, days: str) -> None:
    _, records = season()
    assert "".join(record.window.start[9] for record in choice.among(reversed(records))) == days


@pytest.mark.parametrize(
    "choice",
    [DriftReportOptions(window="0"), DriftReportOptions(window="first"), DriftReportOptions(since="yesterday")],
)
def test_a_choice_that_means_nothing_is_refused(choice: DriftReportOptions) -> None:
    with pytest.raises(ConfigurationError, match=r"--window|--from"):
        choice.among([])
