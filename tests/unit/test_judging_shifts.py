"""The shifts of a rollout's pairs by hour: which score is meant, which step an hour is of, and in whatever order."""

from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.shadow_prediction import PairedAnswer, ShadowRole
from streaming.judging.shifts import ShiftBook, score_shifts
from streaming.rollout.plan import RolloutPlan, RolloutStep
from streaming.rollout.score_shift import FEWEST_EVENTS, HOUR
from tests.support.judging import DAY, Keyed, answer, shadow_record
from tests.unit.test_judging import pairs_table

LABELS = {"labelled events": 200}
PLAN = RolloutPlan((RolloutStep(0, LABELS), RolloutStep(0.25, LABELS)), probation=RolloutStep(1, LABELS))
LATER = DAY + 99 * HOUR


def event(number: int, hour: int, epoch: int, shift: float, *, answered: bool) -> Keyed:
    """An event whose score the candidate shifts, in its shadow or as the candidate ``answered`` it."""
    champion, candidate = answer(1, 0.25), answer(2, 0.25 + shift)
    served, shadow = (candidate, champion) if answered else (champion, candidate)
    role = ShadowRole.REVERSE_SHADOW if answered else ShadowRole.SHADOW
    fields = {"weight_epoch": epoch, "served": served, "shadow": shadow, "role": role}
    return shadow_record(1_000 * hour + number, None, None, minutes=hour * 60 + number % 60, **fields)


def in_hour(
    hour: int, shift: float, epoch: int = 2, events: int = FEWEST_EVENTS, *, answered: bool = True
) -> list[Keyed]:
    """Events of one hour of a step."""
    return [event(n, hour, epoch, shift, answered=answered) for n in range(events)]


def booked(*records: Keyed) -> ShiftBook:
    book = ShiftBook(PLAN)
    book.add(pairs_table(*records))
    return book


@pytest.mark.parametrize(
    ("served", "shadow", "expected"),
    [
        pytest.param(answer(1, 0.25), answer(2, 0.75), 0.5, id="two classes: the second"),
        pytest.param(
            PairedAnswer("flights", 1, 0.0, "a", (0.5, 0.25, 0.25)),
            PairedAnswer("flights", 2, 2.0, "c", (0.125, 0.125, 0.75)),
            0.25,
            id="more classes: the predicted one",
        ),
        pytest.param(PairedAnswer("flights", 1, 10.0), PairedAnswer("flights", 2, 12.5), 2.5, id="numbers"),
        pytest.param(answer(1, 0.25), PairedAnswer("flights", 2, 1.0, "late"), math.nan, id="one has no probabilities"),
        pytest.param(
            answer(1, 0.25), PairedAnswer("flights", 2, 1.0, "late", (None, 1.0)), math.nan, id="one is not finite"
        ),
    ],
)
def test_a_score_is_what_a_backtest_calls_so(served: PairedAnswer, shadow: PairedAnswer, expected: float) -> None:
    rows = [shadow_record(1, 0.5, 0.5, served=served, shadow=shadow), shadow_record(2, 0.5, 0.75)]
    assert score_shifts(pairs_table(*rows)).tolist() == pytest.approx([expected, 0.25], nan_ok=True)


def test_what_a_step_without_a_share_has_shown_is_kept_apart_from_what_the_candidate_answered_since() -> None:
    shown = in_hour(0, 0.125, epoch=1, answered=False)
    canarys_shadow = in_hour(1, 0.25, epoch=2, answered=False)
    answered = in_hour(2, 0.5, epoch=2)
    shifts = booked(*shown, *canarys_shadow, *answered).shifts(LATER)
    assert shifts.before.mean.tolist() == [0.125]
    assert shifts.since.mean.tolist() == [0.5]


def test_a_candidate_that_was_promoted_out_of_the_shadow_has_answered() -> None:
    shifts = booked(*in_hour(0, 0.5, epoch=1)).shifts(LATER)
    assert (len(shifts.before), shifts.since.mean.tolist()) == (0, [0.5])


def test_an_hour_counts_once_it_is_over_and_has_enough_events() -> None:
    book = booked(*in_hour(0, 0.125), *in_hour(1, 0.25), *in_hour(2, 0.5, events=FEWEST_EVENTS - 1))
    assert len(book.shifts(None).since) == 0
    assert book.shifts(DAY + 2 * HOUR - timedelta(seconds=1)).since.mean.tolist() == [0.125]
    assert book.shifts(DAY + 2 * HOUR).since.mean.tolist() == [0.125, 0.25]
    assert book.shifts(LATER).since.events.tolist() == [FEWEST_EVENTS] * 2, "nine events are no hour"


def test_the_noise_of_an_hour_is_the_variance_among_its_events() -> None:
    rows = [event(n, 0, 2, shift, answered=True) for n, shift in enumerate([0.0, 0.5] * 10)]
    since = booked(*rows).shifts(LATER).since
    assert (since.overall, since.noise) == pytest.approx((0.25, 0.0625))


@settings(max_examples=30)
@given(
    events=st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.floats(-0.2, 0.7)), min_size=60, max_size=90),
    seed=st.integers(0, 99),
    cuts=st.integers(1, 4),
)
def test_the_hours_are_the_same_in_any_order_and_partitioning(
    events: list[tuple[int, bool, float]], seed: int, cuts: int
) -> None:
    rows = [event(n, hour, 1 + answered, shift, answered=answered) for n, (hour, answered, shift) in enumerate(events)]
    whole, parts, shuffled = booked(*rows), ShiftBook(PLAN), random.Random(seed).sample(rows, len(rows))
    for part in range(cuts):
        parts.add(pairs_table(*shuffled[part::cuts]))
    first, second = whole.shifts(LATER), parts.shifts(LATER)
    for ours, theirs in ((first.before, second.before), (first.since, second.since)):
        assert ours.events.tolist() == theirs.events.tolist()
        assert ours.mean.tolist() == pytest.approx(theirs.mean.tolist(), abs=1e-9)
        assert ours.variance.tolist() == pytest.approx(theirs.variance.tolist(), abs=1e-9)
    assert len(first.before) + len(first.since) > 0


def test_a_table_without_rows_changes_nothing() -> None:
    book = ShiftBook(PLAN)
    book.add(pairs_table(*in_hour(0, 0.1)).slice(0, 0))
    assert len(book.shifts(LATER).since) == 0
