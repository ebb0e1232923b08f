"""A rollout is what its records say: the same for every reader, whatever else is in the ledger or comes twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from jobs.verbs.ledger.display import describe
from streaming.clock import isoformat
from streaming.models.ref import ModelKey
from streaming.rollout.checks import ALPHA, JudgeRules, RolloutCheck
from streaming.rollout.evidence import Gathered
from streaming.rollout.history import Rollout, RolloutHistory
from streaming.rollout.intervals import ALL_CHAMPION
from streaming.rollout.judge import HarmFinding
from streaming.rollout.machine import RolloutOrder
from streaming.rollout.plan import OnNotTold, RolloutPlan, RolloutStep
from streaming.rollout.records import Declaration, Fields, OrderGiven, Transition, Weights
from streaming.rollout.states import RolloutPhase, RolloutState, RolloutTime
from streaming.rollout.verdict import CheckFinding, JudgedRange, RolloutVerdict, taken_together

NOON = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/contracts/rollout_record.json").read_text())
STEPS = tuple(RolloutStep(share, {"candidate events": 200}) for share in (0.05, 0.25))
PLAN = RolloutPlan(STEPS, probation=RolloutStep(1.0, {"labelled days": 10}))
DECLARED = Declaration(
    name="flights-8",
    application="app",
    candidate=ModelKey("flights", 8),
    salt="flights-8",
    plan=PLAN,
    at=isoformat(NOON),
)
OTHER = replace(DECLARED, name="flights-9", candidate=ModelKey("flights", 9), salt="flights-9")
EMPTY = RolloutHistory("app")


def after(history: RolloutHistory, *records: Fields) -> RolloutHistory:
    return reduce(RolloutHistory.after, records, history)


def ordered(order: RolloutOrder, name: str = "flights-8") -> Fields:
    return OrderGiven(name, "app", order, isoformat(NOON)).to_dict()


def moved(number: int, phase: RolloutPhase = RolloutPhase.STEP, orders: int = 0, of: Declaration = DECLARED) -> Fields:
    state = RolloutState(phase, 0, RolloutTime(NOON, NOON), f"transition {number}")
    return Transition(of, number, orders, state, Weights(number), at=isoformat(NOON)).to_dict()


def current(history: RolloutHistory) -> Rollout:
    assert history.current is not None
    return history.current


durations = st.integers(0, 10**6).map(lambda millis: timedelta(milliseconds=millis))
steps = st.builds(
    RolloutStep,
    st.sampled_from([0.0, 0.05, 0.25, 1.0]),
    st.dictionaries(st.sampled_from(["candidate events", "labelled events"]), st.integers(1, 9), min_size=1),
    least=durations,
    most=st.none() | st.just(timedelta(days=7)),
    on_not_told=st.sampled_from(OnNotTold),
    manual=st.booleans(),
)
plans = st.builds(
    RolloutPlan,
    st.lists(steps, min_size=1, max_size=3).map(lambda many: tuple(sorted(many, key=lambda step: step.share))),
    probation=steps.map(lambda step: replace(step, share=1.0)),
    rules=st.builds(
        JudgeRules,
        dry_run=st.frozensets(st.sampled_from(RolloutCheck)),
        day_deviation=st.sampled_from([0.0, 0.02]),
        tolerated=st.sampled_from([0.0, 0.01]),
    ),
)
instants = durations.map(NOON.__add__)
states = st.builds(
    RolloutState,
    st.sampled_from(RolloutPhase),
    st.integers(0, 3),
    st.builds(RolloutTime, instants, instants),
    st.text(min_size=1),
    paused=st.booleans(),
    at_gate=st.booleans(),
)
declarations = st.builds(replace, st.just(DECLARED), plan=plans, salt=st.sampled_from(["a", "ü"]))
transitions = st.builds(
    Transition,
    declaration=declarations,
    number=st.integers(1, 9),
    orders=st.integers(0, 9),
    state=states,
    weights=st.builds(Weights, st.integers(0, 9), st.just(ALL_CHAMPION.changed_to({"candidate": 0.25}))),
    champion=st.none() | st.integers(1, 9),
    evidence=st.just({"candidate events": 7}),
    problems=st.just(("the registry is silent",)),
    at=st.just(isoformat(NOON)),
)

numbers = st.none() | st.floats(-1e6, 1e6)
check_findings = st.builds(
    CheckFinding,
    finding=st.sampled_from(HarmFinding),
    count=st.integers(0, 9),
    numbers=st.dictionaries(st.sampled_from(["low", "margin"]), numbers),
    sentence=st.just("harm: on 150 labelled events"),
    dry_run=st.booleans(),
    holds=st.booleans(),
)
verdicts = st.builds(
    RolloutVerdict,
    rollout=st.just("flights-8"),
    application=st.just("app"),
    weight_epoch=st.integers(0, 9),
    finding=st.sampled_from(HarmFinding),
    why=st.text(min_size=1),
    checks=st.dictionaries(st.sampled_from([check.value for check in RolloutCheck]), check_findings),
    evidence=st.just({"labelled events": Gathered(38, 81.0), "labelled days": Gathered(0)}),
    answered=st.sampled_from([(), (JudgedRange("features", 1, 4, 9, 2),)]),
    at=st.just(isoformat(NOON)),
)


@given(
    st.one_of(
        declarations,
        transitions,
        verdicts,
        st.builds(OrderGiven, st.just("x"), st.just("app"), st.sampled_from(RolloutOrder), st.just(isoformat(NOON))),
    )
)
def test_records_keep_their_contract_and_are_read_back_as_they_were(record: Any) -> None:
    written = json.loads(json.dumps(record.to_dict()))
    Draft202012Validator(SCHEMA).validate(written)
    assert type(record).from_dict(written) == record


def test_a_check_that_only_a_newer_version_has_stays_on_dry_run() -> None:
    """This version's transitions carry the declaration on, and a newer judge goes by them."""
    record = DECLARED.to_dict()
    record["judge"] = {**record["judge"], "dry_run": ["days", "latency"]}
    assert Declaration.from_dict(record).to_dict()["judge"]["dry_run"] == ["days", "latency"]


def test_the_declaration_is_the_first_state_and_orders_wait_for_the_job() -> None:
    rollout = current(after(EMPTY, DECLARED.to_dict(), ordered(RolloutOrder.START)))
    assert rollout.state.phase is RolloutPhase.PLANNED
    started = rollout.after_orders(RolloutTime(NOON, NOON))
    assert (started.phase, started.step) == (RolloutPhase.STEP, 0)


def test_a_transition_says_which_orders_it_takes_account_of() -> None:
    orders = [ordered(order) for order in (RolloutOrder.START, RolloutOrder.PAUSE, RolloutOrder.ABORT)]
    rollout = current(after(EMPTY, DECLARED.to_dict(), *orders, moved(1, orders=2)))
    assert [unread.order for unread in rollout.pending] == [RolloutOrder.ABORT]


def test_an_order_without_a_meaning_is_passed_over() -> None:
    rollout = current(after(EMPTY, DECLARED.to_dict(), ordered(RolloutOrder.RESUME), ordered(RolloutOrder.START)))
    assert rollout.after_orders(RolloutTime(NOON, NOON)).phase is RolloutPhase.STEP


@pytest.mark.parametrize(
    ("records", "name"),
    [
        pytest.param([moved(1)], "flights-8", id="it is in a step"),
        pytest.param([moved(1), ordered(RolloutOrder.ABORT)], "flights-8", id="the job has not aborted it yet"),
        pytest.param([moved(1, RolloutPhase.ROLLED_BACK)], "flights-9", id="it was rolled back"),
        pytest.param([ordered(RolloutOrder.ABORT)], "flights-9", id="it was aborted before it began"),
    ],
)
def test_only_a_finished_rollout_gives_way_to_another(records: list[Fields], name: str) -> None:
    history = after(EMPTY, DECLARED.to_dict(), *records, OTHER.to_dict())
    assert current(history).declaration.name == name


def test_orders_for_an_earlier_rollout_change_nothing() -> None:
    history = after(EMPTY, DECLARED.to_dict(), moved(1, RolloutPhase.ABORTED), OTHER.to_dict())
    assert after(history, ordered(RolloutOrder.START), moved(2)) == history


def test_the_next_candidate_meets_the_same_keys_and_has_a_name_of_its_own() -> None:
    history = after(EMPTY, DECLARED.to_dict(), moved(1, RolloutPhase.ROLLED_BACK))
    assert (history.salt_of("flights"), history.salt_of("other")) == ("flights-8", None)
    assert (history.free_name("flights-8"), history.free_name("flights-9")) == ("flights-8.2", "flights-9")


VERDICT = RolloutVerdict(
    rollout="flights-8",
    application="app",
    weight_epoch=1,
    finding=HarmFinding.NOT_TOLD,
    why="so the labels say",
    checks={},
    evidence={},
    at=isoformat(NOON),
)


def judged(epoch: int, finding: HarmFinding, name: str = "flights-8") -> Fields:
    return replace(VERDICT, rollout=name, weight_epoch=epoch, finding=finding).to_dict()


@pytest.mark.parametrize(
    ("records", "finding"),
    [
        pytest.param([moved(1)], None, id="nobody has judged"),
        pytest.param([moved(1), judged(1, HarmFinding.HARM)], HarmFinding.HARM, id="the present step"),
        pytest.param(
            [moved(1), judged(1, HarmFinding.NOT_TOLD), judged(1, HarmFinding.NO_WORSE)],
            HarmFinding.NO_WORSE,
            id="the latest counts",
        ),
        pytest.param([moved(1), judged(1, HarmFinding.NO_WORSE), moved(2)], None, id="the step before"),
        pytest.param([moved(1), moved(2), judged(1, HarmFinding.HARM)], None, id="the step before, written late"),
        pytest.param([moved(1), judged(1, HarmFinding.HARM, "flights-7")], None, id="another rollout"),
    ],
)
def test_a_verdict_counts_for_the_step_that_it_is_about(records: list[Fields], finding: HarmFinding | None) -> None:
    verdict = current(after(EMPTY, DECLARED.to_dict(), *records)).present_verdict
    assert (verdict and verdict.finding) == finding


def test_a_declaration_from_before_there_was_a_judge_has_no_rules() -> None:
    old = {name: value for name, value in DECLARED.to_dict().items() if name != "judge"}
    rules = JudgeRules(frozenset({RolloutCheck.SCORE_SHIFT, RolloutCheck.LATENCY, RolloutCheck.DRIFT}))
    assert Declaration.from_dict(old) == replace(DECLARED, plan=replace(DECLARED.plan, rules=rules))


@pytest.mark.parametrize(
    ("lacks", "check"),
    [
        pytest.param(("expected_shift", "tolerated_shift"), RolloutCheck.SCORE_SHIFT, id="score shift"),
        pytest.param(("tolerated_slowdown",), RolloutCheck.LATENCY, id="latency"),
        pytest.param(("tolerated_drift",), RolloutCheck.DRIFT, id="drift"),
    ],
)
def test_a_check_that_a_declaration_could_not_know_of_is_only_shown(
    lacks: tuple[str, ...], check: RolloutCheck
) -> None:
    rules = JudgeRules(frozenset({RolloutCheck.DAYS}), day_deviation=0.02)
    record = replace(DECLARED, plan=replace(DECLARED.plan, rules=rules)).to_dict()
    for name in lacks:
        del record["judge"][name]
    assert Declaration.from_dict(record).plan.rules.dry_run == {RolloutCheck.DAYS, check}


HARM, NO_WORSE, NOT_TOLD = HarmFinding.HARM, HarmFinding.NO_WORSE, HarmFinding.NOT_TOLD
GROSS, DAYS, SHIFT = RolloutCheck.GROSS_HARM, RolloutCheck.DAYS, RolloutCheck.SCORE_SHIFT


@pytest.mark.parametrize(
    ("findings", "dry_run", "expected"),
    [
        pytest.param({GROSS: NOT_TOLD, DAYS: NOT_TOLD}, set(), (NOT_TOLD, "no check has"), id="nothing yet"),
        pytest.param({GROSS: HARM, DAYS: NO_WORSE}, set(), (HARM, "gross harm: numbers"), id="one check is enough"),
        pytest.param({GROSS: NOT_TOLD, DAYS: NO_WORSE}, set(), (NO_WORSE, "days: numbers"), id="no worse by days"),
        pytest.param({GROSS: HARM, DAYS: NOT_TOLD}, {GROSS}, (NOT_TOLD, "no check has"), id="harm on dry run"),
        pytest.param({GROSS: NOT_TOLD, DAYS: NO_WORSE}, {DAYS}, (NOT_TOLD, "no check has"), id="no worse on dry run"),
        pytest.param({DAYS: NOT_TOLD, SHIFT: NO_WORSE}, set(), (NOT_TOLD, "no check has"), id="scores as expected"),
        pytest.param({GROSS: HARM, DAYS: NO_WORSE}, {GROSS}, (NO_WORSE, "days: numbers"), id="the other check acts"),
    ],
)
def test_checks_are_taken_together_and_those_on_dry_run_do_nothing(
    findings: dict[RolloutCheck, HarmFinding], dry_run: set[RolloutCheck], expected: tuple[HarmFinding, str]
) -> None:
    checks = {
        check: CheckFinding(
            finding=finding, count=1, numbers={}, sentence=f"{finding.value}: numbers", dry_run=check in dry_run
        )
        for check, finding in findings.items()
    }
    finding, why = taken_together(checks)
    assert (finding, why[: len(expected[1])]) == expected


@pytest.mark.parametrize(
    ("days", "dry_run", "expected"),
    [
        pytest.param(NOT_TOLD, False, (NOT_TOLD, "drift: numbers"), id="not told"),
        pytest.param(NO_WORSE, False, (NO_WORSE, "days: numbers"), id="whole days are no worse"),
        pytest.param(HARM, False, (HARM, "days: numbers"), id="harm"),
        pytest.param(NOT_TOLD, True, (NOT_TOLD, "no check has told the versions apart yet"), id="on dry run"),
    ],
)
def test_a_check_that_holds_changes_no_finding_and_is_told_beside_it(
    days: HarmFinding, dry_run: bool, expected: tuple[HarmFinding, str]
) -> None:
    drift = CheckFinding(
        finding=NOT_TOLD, count=2, numbers={}, sentence="not told: numbers", dry_run=dry_run, holds=True
    )
    checks = {DAYS: CheckFinding(days, 10, {}, f"{days.value}: numbers"), RolloutCheck.DRIFT: drift}
    assert taken_together(checks) == expected
    verdict = replace(VERDICT, checks={check.value: finding for check, finding in checks.items()})
    assert verdict.holds == ("" if dry_run else "drift: numbers")


def test_a_verdict_from_before_a_check_could_hold_holds_nothing() -> None:
    record = replace(VERDICT, checks={"days": CheckFinding(NO_WORSE, 10, {}, "no worse: numbers")}).to_dict()
    del record["checks"]["days"]["holds"]
    assert RolloutVerdict.from_dict(record).holds == ""


def test_all_checks_that_roll_back_have_a_hundredth_together() -> None:
    assert sum(ALPHA.values()) == pytest.approx(0.01)
    assert set(ALPHA) == set(RolloutCheck) - {RolloutCheck.DRIFT}


FOREIGN: list[Fields] = [
    {"type": "plan", "application": "app", "plan": "1.1"},
    {"type": "rollout", "kind": "of a later release", "application": "app", "rollout": "flights-8"},
    {**moved(9), "application": "another"},
    {**ordered(RolloutOrder.ABORT), "application": "another"},
]
STORY = [
    DECLARED.to_dict(),
    ordered(RolloutOrder.START),
    moved(1, orders=1),
    judged(1, HarmFinding.NOT_TOLD),
    moved(2, orders=1),
    ordered(RolloutOrder.ABORT),
    moved(3, RolloutPhase.ABORTING, orders=2),
    moved(4, RolloutPhase.ABORTED, orders=2),
    OTHER.to_dict(),
    ordered(RolloutOrder.START, "flights-9"),
    moved(1, orders=1, of=OTHER),
]


@given(st.lists(st.tuples(st.integers(0, len(STORY)), st.sampled_from(FOREIGN))))
def test_other_records_between_them_change_nothing(strangers: list[tuple[int, Fields]]) -> None:
    records = list(STORY)
    for position, record in strangers:
        records.insert(position, record)
    assert after(EMPTY, *records) == after(EMPTY, *STORY)


@given(st.integers(0, len(STORY)), st.integers(0, len(STORY)))
def test_a_reader_that_stops_and_goes_on_sees_what_one_that_reads_at_once_sees(first: int, second: int) -> None:
    first, second = sorted((first, second))
    parts = [STORY[:first], STORY[first:second], STORY[second:]]
    assert reduce(lambda history, part: after(history, *part), parts, EMPTY) == after(EMPTY, *STORY)


@given(st.lists(st.sampled_from([2, 4, 6, 7, 10]), unique=True))
def test_a_transition_that_was_written_twice_counts_once(positions: list[int]) -> None:
    records = [record for n, record in enumerate(STORY) for record in [record] * (2 if n in positions else 1)]
    assert after(EMPTY, *records) == after(EMPTY, *STORY)


@given(st.sampled_from([4, 6, 10]))
def test_what_has_expired_before_a_transition_is_not_missed(first: int) -> None:
    assert current(after(EMPTY, *STORY[first:])) == current(after(EMPTY, *STORY))


@pytest.mark.parametrize(
    ("record", "line"),
    [
        pytest.param(DECLARED.to_dict(), "flights-8: flights v8 is to have shares of 0.05 to 0.25", id="declaration"),
        pytest.param(ordered(RolloutOrder.PAUSE), "flights-8: pause ordered", id="order"),
        pytest.param(moved(1), "flights-8: step 1, transition 1", id="transition"),
    ],
)
def test_the_ledger_shows_each_record_in_a_line(record: Fields, line: str) -> None:
    assert describe(record) == line
