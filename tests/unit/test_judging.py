"""The judge of a rollout: what it makes of answers, labels and dead letters, in whatever order they come."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from schemas.shadow_prediction import PairedAnswer, ShadowRole
from streaming.clock import isoformat
from streaming.judging.book import BookRules, BookSums, PairBook
from streaming.judging.errors import ErrorBook
from streaming.judging.judge import JudgedEvidence, LedgerEvidence, RolloutJudge, findings
from streaming.judging.losses import ClassMeanings, pair_losses
from streaming.judging.pairs import pair_of, pair_tables
from streaming.judging.rounds import NEWS, REPEAT, JudgeRounds
from streaming.judging.shifts import ShiftBook
from streaming.ledger.answered import AnsweredRange
from streaming.models.ref import ModelKey
from streaming.offsets import OffsetRange
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.checks import JudgeRules, RolloutCheck
from streaming.rollout.days import log_loss_differences
from streaming.rollout.intervals import ALL_CHAMPION
from streaming.rollout.judge import HarmFinding
from streaming.rollout.machine import RolloutOrder
from streaming.rollout.plan import RolloutPlan
from streaming.rollout.verdict import RolloutVerdict
from tests.support.judging import (
    DAY,
    RULES,
    SUBJECT,
    Keyed,
    MadeUpTopics,
    answer,
    label_row,
    label_table,
    letter,
    shadow_record,
)
from tests.unit.test_engines_rollout import BY_LABELS, PROBATION, Job, in_first_step

CANDIDATE = ModelKey("flights", 2)
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""An example takes a tenth of a second, as labels are joined with every look."""
HOUR, ONE_DAY = timedelta(hours=1), timedelta(days=1)
DUE = DAY + 2 * ONE_DAY + HOUR
"""When the labels of the first day are all due, however late they were written."""


def pairs_table(*records: Keyed) -> pa.Table:
    pairs = [pair_of(record, key, CANDIDATE) for key, record in records]
    return pa.concat_tables(pair_tables(pair for pair in pairs if pair is not None))


def labelled(number: int, text: str | None, **more: Any) -> dict[str, Any]:
    return label_row(number, text, **{"known_at": DAY + 5 * HOUR, **more})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, (1, 2), id="the candidate is in the shadow"),
        pytest.param(
            {"served": answer(2, 0.2), "shadow": answer(1, 0.7), "role": ShadowRole.REVERSE_SHADOW},
            (1, 2),
            id="the champion is in the shadow",
        ),
        pytest.param({"shadow": answer(3, 0.7)}, None, id="neither is the candidate"),
        pytest.param({"shadow": PairedAnswer("other", 2, 0.0)}, None, id="a version of another model"),
    ],
)
def test_the_candidates_answer_is_told_from_the_champions(
    changes: dict[str, Any], expected: tuple[int, int] | None
) -> None:
    key, record = shadow_record(1, 0.7, 0.2, **changes)
    pair = pair_of(record, key, CANDIDATE)
    assert (pair and (pair.champion.version, pair.candidate.version)) == expected


def losses_of(*records: Keyed, labels: pa.Table) -> tuple[list[float], list[float]]:
    losses = pair_losses(pairs_table(*records), [labels], DAY + 9 * ONE_DAY, ClassMeanings())
    return losses.champion.tolist(), losses.candidate.tolist()


def test_the_loss_is_the_log_loss_where_both_give_probabilities() -> None:
    labels = label_table(labelled(1, "late"), labelled(2, "on time"))
    champion, candidate = losses_of(shadow_record(1, 0.8, 0.3), shadow_record(2, 0.999, 0.4), labels=labels)
    late = np.array([1.0, 0.0])
    expected = log_loss_differences(late, np.array([0.8, 0.999]), np.array([0.3, 0.4]))
    assert np.subtract(candidate, champion) == pytest.approx(expected, abs=1e-12)
    assert champion == pytest.approx([-math.log(0.8), -math.log(0.01)]), "one event does not decide by itself"


@pytest.mark.parametrize(
    ("served", "shadow", "text", "expected"),
    [
        pytest.param(
            PairedAnswer("flights", 1, 0.0, "on time"),
            PairedAnswer("flights", 2, 1.0, "late"),
            "late",
            ([1.0], [0.0]),
            id="classes without probabilities",
        ),
        pytest.param(
            PairedAnswer("flights", 1, 12.5), PairedAnswer("flights", 2, 10.25), "10", ([2.5], [0.25]), id="numbers"
        ),
        pytest.param(answer(1, 0.8), answer(2, 0.8), "cancelled", ([], []), id="a label that is no class"),
        pytest.param(answer(1, 0.8), answer(2, 0.8), None, ([], []), id="a label that was withdrawn"),
    ],
)
def test_the_loss_of_other_models_is_their_error(
    served: PairedAnswer, shadow: PairedAnswer, text: str | None, expected: tuple[list[float], list[float]]
) -> None:
    both = [shadow_record(0, 0.2, 0.2), shadow_record(1, 0.1, 0.9)] if served.probability else []
    record = shadow_record(2, None, None, served=served, shadow=shadow)
    assert losses_of(*both, record, labels=label_table(labelled(2, text))) == expected


def settled(*labels: dict[str, Any], records: tuple[Keyed, ...] | None = None) -> BookSums:
    """The sums once the first day is over and all labels are due: later events and a later label say so."""
    book = PairBook(RULES)
    later = (shadow_record(9_998, 0.5, 0.5, minutes=4_000), shadow_record(9_999, 0.5, 0.5, minutes=4_000))
    book.add_pairs(pairs_table(*(records or (shadow_record(1, 0.8, 0.2), shadow_record(2, 0.8, 0.2))), *later))
    book.add_labels(label_table(*labels, labelled(7_777, "late", known_at=DUE)))
    return book.sums()


@pytest.mark.parametrize(
    ("labels", "events", "difference"),
    [
        pytest.param([labelled(1, "late")], 1, math.log(4), id="one label"),
        pytest.param([labelled(1, "late"), labelled(1, "late", offset=1)], 1, math.log(4), id="repeated"),
        pytest.param([labelled(1, "late"), labelled(1, "on time", offset=1)], 1, -math.log(4), id="corrected"),
        pytest.param(
            [labelled(1, "on time", offset=1), labelled(1, "late", known_at=DAY + 9 * HOUR)],
            1,
            math.log(4),
            id="what became known last counts",
        ),
        pytest.param([labelled(1, "late"), labelled(1, None, offset=1)], 0, 0.0, id="withdrawn"),
        pytest.param([labelled(1, "late", known_at=DAY + 2 * ONE_DAY)], 0, 0.0, id="late"),
        pytest.param([labelled(1, "late"), labelled(2, "late")], 2, 2 * math.log(4), id="two events"),
    ],
)
def test_labels_are_those_that_quality_takes(labels: list[dict[str, Any]], events: int, difference: float) -> None:
    sums = settled(*labels)
    assert (sums.losses.events, len(sums.days.day)) == (events, min(events, 1))
    assert sums.losses.difference == pytest.approx(difference)
    assert sums.labelled_events[1] == events
    assert sums.labelled_days[1] == min(events, 1)


@pytest.mark.parametrize(
    ("pairs_until", "label_until", "days"),
    [
        pytest.param(DUE, DUE, 1, id="both topics have passed it"),
        pytest.param(DAY + ONE_DAY, DUE, 0, id="events of it may be to come"),
        pytest.param(DUE, DUE - HOUR, 0, id="labels of it may be to come"),
    ],
)
def test_a_day_decides_once_nothing_of_it_is_to_come(pairs_until: datetime, label_until: datetime, days: int) -> None:
    book, minutes = PairBook(RULES), (pairs_until - DAY).total_seconds() / 60
    later = [shadow_record(number, 0.5, 0.5, minutes=minutes) for number in (100, 101)]
    book.add_pairs(pairs_table(shadow_record(1, 0.8, 0.2), *later))
    book.add_labels(label_table(labelled(1, "late"), labelled(7_777, "late", known_at=label_until)))
    sums = book.sums()
    assert (len(sums.days.day), sums.losses.events) == (days, 1), "gross harm needs no whole day"


def test_one_partition_that_lags_holds_the_day() -> None:
    book = PairBook(RULES)
    book.add_pairs(pairs_table(shadow_record(1, 0.8, 0.2), shadow_record(100, 0.5, 0.5, minutes=4_000)))
    book.add_labels(label_table(labelled(1, "late"), labelled(7_777, "late", known_at=DUE)))
    assert len(book.sums().days.day) == 0


chances = st.sampled_from([0.05, 0.3, 0.8, 0.95])
events = st.lists(
    st.tuples(chances, chances, st.sampled_from(["late", "on time", None]), st.integers(0, 4)), max_size=20
)


@settings(max_examples=30, phases=NO_SHRINKING)
@given(events=events, seed=st.integers(0, 99), cuts=st.integers(1, 3))
def test_the_sums_are_the_same_in_any_order_and_partitioning(
    events: list[tuple[float, float, str | None, int]], seed: int, cuts: int
) -> None:
    records = [
        shadow_record(n, champion, candidate, minutes=1_440 * day + n, weight_epoch=1 + day // 2)
        for n, (champion, candidate, _, day) in enumerate(events)
    ]
    known_at = [DAY + timedelta(days=day, hours=12) for *_, day in events]
    labels = [labelled(n, text, known_at=known_at[n]) for n, (_, _, text, _) in enumerate(events) if text]
    last = [shadow_record(9_000 + n, 0.5, 0.5, minutes=1_440 * 12) for n in range(2)]
    # All that is out of order is within the lateness.
    rules = BookRules(RULES.horizon, lateness=6 * ONE_DAY)
    whole, parts = PairBook(rules), PairBook(rules)
    whole.add_pairs(pairs_table(*records, *last))
    whole.add_labels(label_table(*labels))
    shuffled = random.Random(seed)
    shuffled.shuffle(records)
    shuffled.shuffle(labels)
    for part in range(cuts):
        if records[part::cuts]:
            parts.add_pairs(pairs_table(*records[part::cuts]))
        parts.add_labels(label_table(*labels[part::cuts]))
        parts.sums()
    parts.add_pairs(pairs_table(*last))
    final = label_table(labelled(7_777, "late", known_at=DAY + 13 * ONE_DAY))
    for book in (whole, parts):
        book.add_labels(final)
    assert_equal(whole.sums(), parts.sums())
    assert whole.sums().losses.events == sum(text is not None for *_, text, _ in events)


def assert_equal(first: BookSums, second: BookSums) -> None:
    assert (first.labelled_events, first.labelled_days) == (second.labelled_events, second.labelled_days)
    assert first.days.day.tolist() == second.days.day.tolist()
    assert first.days.total == pytest.approx(second.days.total, abs=1e-9)
    for name in ("events", "difference", "squares", "champion"):
        assert getattr(first.losses, name) == pytest.approx(getattr(second.losses, name), abs=1e-9)


def test_more_pairs_than_may_wait_are_thinned_out() -> None:
    book = PairBook(BookRules(RULES.horizon, RULES.lateness, most_pairs=100))
    for start in range(0, 400, 50):
        book.add_pairs(pairs_table(*(shadow_record(n, 0.8, 0.2) for n in range(start, start + 50))))
    book.add_labels(label_table(*(labelled(n, "late", known_at=DAY + 9 * HOUR) for n in range(400))))
    assert (book.one_in, book.sums().losses.events) == (4, 100)


def in_range(share: float | None = 0.25, end: int = 1_000) -> AnsweredRange:
    assignment = None if share is None else ArmAssignment("s", ALL_CHAMPION.changed_to({"candidate": share}))
    role = "champion" if share is None else "candidate"
    weights = WeightEpoch("flights-2", 1)
    offsets = OffsetRange(0, end)
    return AnsweredRange("features", "id", 0, offsets, weights, role, assignment)


@pytest.mark.parametrize(
    ("letters", "part", "expected"),
    [
        pytest.param([(b"a", 1), (b"b", 2)], in_range(), (1, 1), id="one of each arm"),
        pytest.param([(b"a", 2)] * 20, in_range(), (0, 1), id="a key counts once"),
        pytest.param([(None, 2)] * 3, in_range(), (0, 3), id="without keys each event counts"),
        pytest.param([(b"a", 2), (b"b", 1)], in_range(end=1), (0, 1), id="before and after the rollout"),
        pytest.param([(b"a", 2)], in_range(None), (0, 0), id="there is only one arm"),
    ],
)
def test_dead_letters_count_once_a_key_while_both_arms_have_keys(
    letters: list[tuple[bytes | None, int]], part: AnsweredRange, expected: tuple[int, int]
) -> None:
    errors = ErrorBook(CANDIDATE)
    for offset, (key, version) in enumerate(letters):
        errors.add_letter(letter(version, offset), key, [part])
    assert (errors.letters.champion, errors.letters.candidate) == expected


def judged(records: list[Keyed], labels: pa.Table | None = None) -> dict[RolloutCheck, HarmFinding]:
    """What each check finds, where it is not dry, by all there is."""
    errors, book, shifts = ErrorBook(CANDIDATE), PairBook(RULES), ShiftBook(BY_LABELS)
    pairs = [pair for key, record in records if (pair := pair_of(record, key, CANDIDATE))]
    for pair in pairs:
        errors.add_pair(pair)
    for table in pair_tables(pairs):
        book.add_pairs(table)
        shifts.add(table)
    if labels is not None:
        book.add_labels(labels)
    evidence = JudgedEvidence(errors=errors, sums=book.sums(), shifts=shifts.shifts(book.passed), times=(), windows=())
    checks = findings(evidence, JudgeRules())
    return {check: each.finding for check, each in checks.items()}


def test_a_candidate_that_fails_on_events_alone_is_found_by_a_few_keys() -> None:
    harmful = judged([shadow_record(n, 0.2, None) for n in range(13)])
    assert harmful[RolloutCheck.ERRORS] is HarmFinding.HARM
    once = judged([(b"one key", record) for _, record in (shadow_record(n, 0.2, None) for n in range(50))])
    assert once[RolloutCheck.ERRORS] is HarmFinding.NOT_TOLD, "a key whose events all fail is one error"
    both = judged([shadow_record(n, None, None) for n in range(50)])
    assert both[RolloutCheck.ERRORS] is HarmFinding.NOT_TOLD


def flown(
    days: int, candidate: Callable[[float], float], seed: int = 7, a_day: int = 60
) -> tuple[list[Keyed], pa.Table]:
    """Days of flights whose chance to be late the champion knows well; each is labelled five hours later."""
    chance = random.Random(seed)
    records, labels = [], []
    for day in range(days):
        for n in range(day * a_day, (day + 1) * a_day):
            truth = chance.betavariate(1, 3)
            champion = min(max(truth + chance.gauss(0, 0.05), 0.02), 0.98)
            minutes = day * 1_440 + (n - day * a_day) * 1_440 / a_day
            records.append(shadow_record(n, champion, candidate(champion), minutes=minutes))
            known_at = DAY + timedelta(minutes=minutes, hours=5)
            labels.append(labelled(n, "late" if chance.random() < truth else "on time", known_at=known_at))
    end = 1_440 * (days + 2)
    records += [shadow_record(9_998 + n, 0.5, 0.5, minutes=end) for n in range(2)]
    labels.append(labelled(77_777, "late", known_at=DAY + timedelta(days=days + 2)))
    return records, label_table(*labels)


GROSS, DAYS = RolloutCheck.GROSS_HARM, RolloutCheck.DAYS


@pytest.mark.parametrize(
    ("candidate", "days", "expected"),
    [
        pytest.param(lambda chance: 1 - chance, 4, {GROSS: HarmFinding.HARM}, id="inverted, within 240 events"),
        pytest.param(lambda chance: 0.97, 4, {GROSS: HarmFinding.HARM}, id="scaled inputs"),
        pytest.param(lambda chance: min(chance + 0.25, 0.99), 15, {DAYS: HarmFinding.HARM}, id="worse on whole days"),
        pytest.param(
            lambda chance: chance, 15, {GROSS: HarmFinding.NOT_TOLD, DAYS: HarmFinding.NOT_TOLD}, id="the same"
        ),
    ],
)
def test_what_the_checks_find_of_a_candidate(
    candidate: Callable[[float], float], days: int, expected: dict[RolloutCheck, HarmFinding]
) -> None:
    found_by = judged(*flown(days, candidate))
    assert {check: found_by[check] for check in expected} == expected


def test_a_candidate_that_is_better_on_whole_days_is_no_worse() -> None:
    records, labels = flown(15, lambda chance: chance)
    # The candidate is the champion that knows the chances; the champion says 0.6 of every flight.
    swapped = [shadow_record(n, 0.6, r.shadow.probability[1], minutes=n * 24) for n, (_, r) in enumerate(records[:-2])]  # type: ignore[index]
    assert judged([*swapped, *records[-2:]], labels)[DAYS] is HarmFinding.NO_WORSE


def told(job: Job, topics: MadeUpTopics) -> JudgeRounds:
    """A judge beside a job; both have the same ledger."""
    topics.books = job.books.records
    return JudgeRounds(SUBJECT, topics, job.clock)


def test_a_judge_without_a_rollout_writes_nothing() -> None:
    job, topics = Job(), MadeUpTopics()
    assert told(job, topics).look() is None
    job.declare().looked()
    assert told(job, topics).look() is None
    assert not topics.written


def test_gross_harm_goes_from_labels_to_a_rollback_by_the_ledger_alone() -> None:
    job, topics = in_first_step(BY_LABELS).batch(candidate=200), MadeUpTopics()
    judge = told(job, topics)
    records, labels = flown(4, lambda chance: 1 - chance)
    topics.pairs += records
    verdict = judge.look()
    assert verdict is not None
    assert (verdict.finding, verdict.evidence["labelled events"].count) == (HarmFinding.NOT_TOLD, 0)
    topics.tables.append(labels)
    verdict = judge.look()
    assert verdict is not None
    assert verdict.finding is HarmFinding.HARM
    assert verdict.why.startswith("gross harm: on 240 labelled events the candidate's loss is above")
    assert [(part.start, part.end) for part in verdict.answered] == [(0, 1_200)]
    job.looked()
    assert job.phase == ("rolled back", 0)
    assert "gross harm: on 240 labelled events" in job.transitions[-1]["why"]
    assert judge.look() is None, "what has gone back is not judged any more"


def test_harm_on_dry_run_is_written_and_does_nothing() -> None:
    plan = RolloutPlan(BY_LABELS.steps, probation=PROBATION, rules=JudgeRules(frozenset({GROSS})))
    job, topics = in_first_step(plan).batch(candidate=200), MadeUpTopics()
    topics.pairs, labels = flown(4, lambda chance: 1 - chance)
    topics.tables.append(labels)
    verdict = told(job, topics).look()
    assert verdict is not None
    assert verdict.checks["gross harm"].finding is HarmFinding.HARM
    assert verdict.finding is HarmFinding.NOT_TOLD
    assert job.looked().phase == ("step", 0)


def test_labels_that_the_judge_counts_are_what_a_step_waits_for() -> None:
    job, topics = in_first_step(BY_LABELS).batch(candidate=200), MadeUpTopics()
    judge = told(job, topics)
    topics.pairs = [shadow_record(n, 0.3, 0.3) for n in range(60)]
    topics.tables.append(label_table(*(labelled(n, "late") for n in range(38))))
    job.clock.advance(1_690)
    judge.look()
    job.looked()
    assert job.follower._history.current is not None
    assert job.follower._history.current.present_verdict is not None
    gathered = job.follower._history.current.present_verdict.evidence["labelled events"]
    assert gathered.count == 38
    assert gathered.per_hour == pytest.approx(38 / (1_690 / 3_600))


def test_evidence_is_counted_from_the_steps_beginning_and_harm_from_the_rollouts() -> None:
    job, topics = in_first_step(BY_LABELS).batch(candidate=200), MadeUpTopics()
    judge = told(job, topics)
    records, labels = flown(4, lambda chance: 1 - chance)
    topics.pairs = [(key, record) for key, record in records[:80]]
    topics.tables.append(labels)
    judge.look()
    job.ordered(RolloutOrder.PROMOTE)
    topics.pairs += [
        shadow_record(n, 0.3, 0.3, minutes=n * 24, weight_epoch=job.transitions[-1]["weight_epoch"])
        for n in range(80, 90)
    ]
    verdict = judge.look()
    assert verdict is not None
    assert (verdict.weight_epoch, verdict.evidence["labelled events"].count) == (3, 10)
    assert verdict.checks["gross harm"].count == 90


@pytest.mark.parametrize(
    ("seconds", "more", "expected"),
    [
        pytest.param(1, 0, 0, id="nothing new"),
        pytest.param(REPEAT.total_seconds(), 0, 1, id="it is still there"),
        pytest.param(1, 5, 0, id="another number, at once"),
        pytest.param(NEWS.total_seconds(), 5, 1, id="another number"),
        pytest.param(1, 200, 1, id="the evidence is complete"),
    ],
)
def test_a_verdict_is_written_when_it_says_something_new_and_now_and_then(
    seconds: float, more: int, expected: int
) -> None:
    job, topics = in_first_step(BY_LABELS).batch(candidate=200), MadeUpTopics()
    topics.pairs = [shadow_record(n, 0.3, 0.3) for n in range(300)]
    topics.tables = [label_table(*(labelled(n, "late") for n in range(20)))]
    judge = told(job, topics)
    assert judge.look() is not None
    topics.tables.append(label_table(*(labelled(n, "late") for n in range(20, 20 + more))))
    job.clock.advance(seconds)
    judge.look()
    assert len(topics.written) == 1 + expected


@settings(max_examples=15, phases=NO_SHRINKING)
@given(looks=st.integers(1, 4), seed=st.integers(0, 20))
def test_a_judge_that_was_restarted_says_what_one_that_looked_all_along_says(looks: int, seed: int) -> None:
    job, topics = in_first_step(BY_LABELS).batch(candidate=200), MadeUpTopics()
    judge = told(job, topics)
    records, labels = flown(3, lambda chance: min(chance + 0.1, 0.99), seed, a_day=20)
    for part in range(looks):
        topics.pairs += records[part * len(records) // looks : (part + 1) * len(records) // looks]
        topics.tables.append(labels.slice(part * labels.num_rows // looks, labels.num_rows // looks + 1))
        judge.look()
    job.clock.advance(60)
    final, restarted = judge.look(), JudgeRounds(SUBJECT, topics.restarted(), job.clock).look()
    assert final is not None
    assert restarted is not None
    assert_same(final, restarted)


def assert_same(first: RolloutVerdict, second: RolloutVerdict) -> None:
    assert (first.finding, first.weight_epoch) == (second.finding, second.weight_epoch)
    for name, check in first.checks.items():
        other = second.checks[name]
        assert (check.finding, check.count) == (other.finding, other.count)
        for number, value in check.numbers.items():
            assert value == (None if value is None else pytest.approx(other.numbers[number], abs=1e-9))


def test_a_verdict_names_the_moment_of_the_look() -> None:
    job = in_first_step(BY_LABELS).batch(candidate=9)
    assert job.follower._history.current is not None
    rollout = job.follower._history.current
    job.clock.advance(30)
    verdict = RolloutJudge(rollout.declaration, RULES).verdict(rollout, job.clock(), LedgerEvidence())
    assert verdict.at == isoformat(job.clock())
    assert verdict.finding is HarmFinding.NOT_TOLD
