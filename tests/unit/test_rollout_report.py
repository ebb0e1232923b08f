"""The report on a rollout: both ways to compare, day by day, its steps, and nothing decided by what is early."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sklearn.metrics import log_loss

from jobs.verbs.rollout.display import show_report
from streaming.ledger.arms import PlannedArm, PlannedArms
from streaming.ledger.plan import Plan
from streaming.ledger.rollout_story import RolloutStory
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange, Ranges
from streaming.outputs.weights import WeightEpoch
from streaming.quality.labels import LabelledPredictions
from streaming.rollout.checks import JudgeRules
from streaming.rollout.judge import HarmFinding
from streaming.rollout.size import days_to_find
from streaming.rollout_report.answers import LossKind, event_losses
from streaming.rollout_report.differences import unpaired_days
from streaming.rollout_report.page.page import rollout_page
from streaming.rollout_report.report import RolloutReport
from tests.support.labels import label, labelled, predicted
from tests.support.laws import examples
from tests.support.pages import HOSTILE, Page, assert_plots_have_titles, assert_self_contained
from tests.support.rollout_reports import HORIZON, START, MadeUpRollout

WORSE = MadeUpRollout(worse=0.8, rules=JudgeRules(tolerated=0.02)).report()
ALONE = MadeUpRollout(days=12, shadow=False).report()


def shown(report: RolloutReport) -> str:
    console = Console(file=io.StringIO(), width=120)
    show_report(report, console)
    output: str = console.file.getvalue()  # type: ignore[attr-defined]
    return output


def test_harm_is_found_on_the_same_events_long_before_it_is_on_events_of_their_own() -> None:
    assert WORSE.paired is not None
    assert WORSE.paired.days[-1].finding is HarmFinding.HARM
    assert WORSE.paired.sentence.startswith("harm: over 29 days")
    assert WORSE.unpaired.days[-1].finding is HarmFinding.NOT_TOLD
    assert WORSE.paired.needed is not None
    assert WORSE.unpaired.needed is not None
    assert WORSE.unpaired.needed > 8 * WORSE.paired.needed
    assert (WORSE.paired.missing, WORSE.unpaired.missing) == (0, WORSE.unpaired.needed - 29)


def test_the_bounds_begin_with_the_tenth_day_and_hold_the_mean() -> None:
    for comparison in (WORSE.paired, WORSE.unpaired):
        assert comparison is not None
        assert [day.low is None for day in comparison.days] == [True] * 9 + [False] * 20
        for day in comparison.days[9:]:
            assert day.low is not None
            assert day.high is not None
            assert day.low < day.mean < day.high


def test_the_arms_are_measured_over_the_days_that_are_due_and_only_those_decide() -> None:
    champion, candidate = WORSE.arms
    assert (champion.version, champion.role, candidate.version, candidate.role) == (7, "champion", 8, "candidate")
    assert champion.events + candidate.events == 29 * 200
    assert WORSE.unpaired.events == candidate.labelled
    assert WORSE.early > 100, "the last day"


def test_labels_are_read_once_for_all_days_and_each_day_waits_for_its_own() -> None:
    made = MadeUpRollout(days=3)
    in_time = made.report()
    ((window, until),) = made.asked
    assert (window.start, window.end, until) == (START, START + timedelta(days=3), START + timedelta(days=3) + HORIZON)
    for given_label in made.labels:
        if given_label["offset"] < made.events:
            given_label["known"] = START + timedelta(days=1) + HORIZON
    late = made.report()
    assert [day.events for day in late.unpaired.days] == [day.events for day in in_time.unpaired.days[1:]]
    assert sum(arm.labels.late for arm in late.arms) == sum(row["offset"] < made.events for row in made.labels)


def test_while_labels_are_due_no_day_counts() -> None:
    early = MadeUpRollout(days=3, now=START + timedelta(days=1)).report()
    assert (early.arms, early.unpaired.days, early.margin) == ((), (), None)
    assert early.unpaired.sentence == "not told: 0 of 10 days"
    assert "No day has labels of both versions" in Page(rollout_page(early)).text
    assert "how many days are needed cannot be told yet" in shown(early)


def test_the_last_day_counts_once_the_stream_has_passed_it_whoever_answers_then() -> None:
    days = [len(MadeUpRollout(days=3, reached=reached).report().unpaired.days) for reached in (None, START)]
    assert days == [2, 2]
    assert len(MadeUpRollout(days=3, reached=START + timedelta(days=3)).report().unpaired.days) == 3


def test_the_steps_have_their_reasons_and_their_first_events() -> None:
    assert [(step.share, step.why, step.first_event) for step in WORSE.steps[:2]] == [
        (0.05, "started by order", "2013-06-01T00:00:00.000Z"),
        (0.25, "the judge found it no worse", "2013-06-16T00:00:00.000Z"),
    ]
    assert WORSE.steps[2].paused


def test_each_step_has_the_judges_last_word_by_check_with_what_it_may_do() -> None:
    judged = {(step.weight_epoch, check.check): check for step in WORSE.judged for check in step.checks}
    assert {key: (check.finding, check.alpha) for key, check in judged.items()} == {
        (1, "days"): ("no worse", 0.0035),
        (1, "drift"): ("not told", None),
        (2, "errors"): ("harm", 0.0015),
        (2, "drift"): ("not told", None),
    }
    for text in (" ".join(shown(WORSE).split()), Page(rollout_page(WORSE)).text):
        assert "errors of step 2 said so" in text
        assert "holds only, dry run" in text
        assert "alpha 0.0015" in text


def test_a_page_answers_first_and_has_both_plots_with_margins_and_steps() -> None:
    html = rollout_page(WORSE)
    page = Page(html)
    assert_self_contained(html)
    assert_plots_have_titles(html)
    assert page.text.index("Harm on the same events") < page.text.index("The difference over time")
    classes = [attributes.get("class") for _, attributes in page.elements]
    assert [classes.count(name) for name in ("band", "zero", "margin harm", "margin no-worse", "step")] == [
        2,
        2,
        2,
        2,
        4,
    ]
    assert "held: paused by order" in page.text


def test_a_page_without_a_shadow_says_what_that_costs() -> None:
    page = Page(rollout_page(ALONE))
    assert [tag for tag, _ in page.elements].count("svg") == 1
    assert "at least 8 times as many labels" in page.text


def test_a_reason_with_markup_stays_text() -> None:
    made = MadeUpRollout(days=2)
    report = made.report()
    steps = tuple(type(step)(**{**vars(step), "why": HOSTILE}) for step in report.steps)
    html = rollout_page(type(report)(**{**vars(report), "steps": steps}))
    assert_self_contained(html)
    assert "alert(1)" in Page(html).text


def test_the_terminal_has_the_answer_the_arms_and_the_steps() -> None:
    text = shown(WORSE)
    assert "on the same events: harm: over 29 days" in text
    assert "v8 (candidate)" in text
    assert "the judge found it no worse" in text


def test_the_json_has_every_number_and_is_strict() -> None:
    data = json.loads(json.dumps(WORSE.as_json(), allow_nan=False))
    assert data["format"] == "penstock.rollout.report.v1"
    assert len(data["paired"]["days"]) == len(data["unpaired"]["days"]) == 29
    assert data["unpaired"]["days"][0]["low"] is None
    assert data["judged"][1]["checks"][0]["numbers"] == {"low": 0.5, "high": None}


CLASSES = [predicted(n, float(n % 2), [0.7, 0.3] if n % 3 else [0.005, 0.995]) for n in range(12)]
LABELS = [label(n, str(n % 4 // 2)) for n in range(11)]


def of(rows: list[dict[str, Any]]) -> LabelledPredictions:
    return labelled(rows, LABELS)


def test_the_log_loss_of_probabilities_is_scikit_learns_with_clipped_ones() -> None:
    losses = event_losses(of(CLASSES))
    truth = np.array([n % 4 // 2 for n in range(11)])
    positive = np.clip([0.3 if n % 3 else 0.995 for n in range(11)], 0.01, 0.99)
    assert losses.kind is LossKind.LOG_LOSS
    assert np.nanmean(losses.values) == pytest.approx(log_loss(truth, positive), abs=1e-12)
    assert math.isnan(losses.values[11]), "without a label"


@pytest.mark.parametrize(
    ("rows", "kind", "expected"),
    [
        pytest.param(
            [predicted(n, float(n % 2)) for n in range(4)], LossKind.ERRORS, [0.0, 1.0, 1.0, 0.0], id="classes alone"
        ),
        pytest.param(
            [*CLASSES[:2], *(predicted(n, float(n % 2), version=2) for n in (2, 3))],
            LossKind.ERRORS,
            [0.0, 1.0, 1.0, 0.0],
            id="probabilities of one version alone",
        ),
        pytest.param(
            [predicted(n, n + 0.5) for n in range(4)], LossKind.ABSOLUTE_ERROR, [0.5, 1.5, 1.5, 2.5], id="numbers"
        ),
    ],
)
def test_the_loss_is_what_all_answers_have(rows: list[dict[str, Any]], kind: LossKind, expected: list[float]) -> None:
    losses = event_losses(of(rows))
    assert (losses.kind, losses.values.tolist()) == (kind, expected)


events = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from([0.25, 1.0, 4.0, math.nan])), min_size=1)


@examples(60)
@given(events)
def test_a_days_unpaired_difference_is_that_of_its_means(rows: list[tuple[int, bool, float]]) -> None:
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    sums = unpaired_days(columns[0], columns[1], columns[2].astype(np.float64))
    expected = {}
    for day in range(4):
        sides = [[x for d, own, x in rows if (d, own) == (day, side) and not math.isnan(x)] for side in (True, False)]
        if all(sides):
            candidate, champion = (math.fsum(side) / len(side) for side in sides)
            expected[day] = candidate - champion
    assert dict(zip(sums.day.tolist(), sums.means.tolist(), strict=True)) == pytest.approx(expected)


def test_days_that_find_harm_grow_with_the_square_of_the_deviation() -> None:
    few, many = (days_to_find(0.01, deviation, 0.004, 0.8) for deviation in (0.05, 0.1))
    assert 3.8 < many / few < 4.2


def planned(rollout: str, ranges: Ranges) -> dict[str, Any]:
    """A batch of the candidate alone."""
    return Plan(
        id="1.1",
        application="penstock",
        topic="features",
        topic_id="id",
        checkpoint="c",
        batch=1,
        ranges=ranges,
        arms=PlannedArms((PlannedArm(ModelVersion("flights", 8)),), weights=WeightEpoch(rollout, 1)),
        at="2013-06-01T00:00:00.000Z",
    ).to_dict()


def test_a_story_has_each_transition_once_the_last_verdicts_and_where_batches_began() -> None:
    made = MadeUpRollout(days=2)
    moves = [each.to_dict() for each in made.transitions]
    records = [
        planned("flights-8", {0: OffsetRange(5, 9)}),
        *moves,
        moves[0],
        replace(made.verdicts[1], why="too early").to_dict(),
        *(verdict.to_dict() for verdict in made.verdicts),
        planned("flights-8", {0: OffsetRange(9, 12), 1: OffsetRange(3, 4)}),
        planned("another", {2: OffsetRange(0, 9)}),
        {"type": "lease", "epoch": 4},
    ]
    story = RolloutStory(made.declaration)
    for record in records:
        story.add(record)
    assert story.transitions == tuple(made.transitions)
    assert list(story.verdicts.values()) == made.verdicts[::-1]
    assert story.firsts == {0: 5, 1: 3}
    answered = [(each.partition, each.offsets.start, each.offsets.end) for each in story.answered]
    assert answered == [(0, 5, 12), (1, 3, 4)]
