"""A rollout goes on by evidence and goes back by harm or an order, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import ConfigurationError
from streaming.rollout.evidence import SILENT_AFTER, Gathered, Judged, Observed
from streaming.rollout.judge import HarmFinding
from streaming.rollout.machine import RolloutOrder, done, observe, order, resumed
from streaming.rollout.plan import OnNotTold, RolloutPlan, RolloutStep
from streaming.rollout.states import FINISHED, JUDGED, RolloutPhase, RolloutState, RolloutTime, planned

NOON = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
LABELS = "labelled events"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HELD = "drift: temp"
STEP = RolloutStep(0.05, {LABELS: 200}, least=HOUR, most=7 * DAY)
PROBATION = RolloutStep(1.0, {"days": 10}, least=10 * DAY)
PLAN = RolloutPlan((replace(STEP, share=0.0), STEP, replace(STEP, share=0.25)), probation=PROBATION)


def at(passed: timedelta, event_time: timedelta | None = None) -> RolloutTime:
    return RolloutTime(NOON + passed, NOON + (passed if event_time is None else event_time))


def all_that_is_asked(finding: HarmFinding, passed: timedelta = 11 * DAY) -> Observed:
    return Observed(at(passed), {LABELS: Gathered(200), "days": Gathered(10)}, Judged(finding, NOON + passed))


def holding(observed: Observed) -> Observed:
    """The same with a check that holds."""
    assert observed.judged is not None
    return replace(observed, judged=replace(observed.judged, holds=HELD))


def in_step(number: int = 1, **changes: bool) -> RolloutState:
    return RolloutState(RolloutPhase.STEP, number, at(timedelta(0)), "started by order", **changes)


def plan_of(step: RolloutStep) -> RolloutPlan:
    return RolloutPlan((step, step), probation=PROBATION)


class Happening(NamedTuple):
    """One thing after another that may happen to a rollout."""

    passed: timedelta
    what: Observed | RolloutOrder | None


def after(state: RolloutState, plan: RolloutPlan, happening: Happening) -> RolloutState:
    now = at(happening.passed)
    if isinstance(happening.what, Observed):
        return observe(state, plan, replace(happening.what, now=now))
    if happening.what is None:
        return done(state, now)
    try:
        return order(state, plan, happening.what, now)
    except ConfigurationError:
        return state


counts = st.sampled_from([0, 38, 199, 200, 1_000])
some = st.dictionaries(st.sampled_from([LABELS, "days", "errors"]), st.builds(Gathered, counts, st.none()))
evidence = st.one_of(st.just({LABELS: Gathered(200)}), some)
judged = st.builds(
    Judged,
    st.sampled_from(HarmFinding),
    st.sampled_from([NOON - DAY, NOON, NOON + 30 * DAY]),
    holds=st.sampled_from(["", HELD]),
)
observations = st.builds(
    Observed,
    st.just(at(timedelta(0))),
    evidence,
    st.none() | judged,
    st.sampled_from([(), ("no shares",)]),
)
times = st.sampled_from([timedelta(minutes=1), HOUR, DAY, 8 * DAY, 30 * DAY])
happenings = st.builds(Happening, times, st.one_of(observations, st.sampled_from(RolloutOrder), st.none()))
steps = st.builds(
    RolloutStep,
    st.just(0.1),
    st.just({LABELS: 200}),
    least=st.sampled_from([timedelta(0), HOUR]),
    most=st.sampled_from([None, 7 * DAY]),
    on_not_told=st.sampled_from(OnNotTold),
    manual=st.booleans(),
)
plans = st.builds(lambda step: RolloutPlan((step, step), probation=replace(step, share=1.0)), steps)
histories = st.lists(happenings, max_size=12)
states = st.builds(
    RolloutState,
    st.sampled_from(RolloutPhase),
    st.sampled_from([0, 1]),
    st.just(at(timedelta(0))),
    st.just("so it came"),
    paused=st.booleans(),
    at_gate=st.booleans(),
)


def reached(plan: RolloutPlan, history: list[Happening]) -> RolloutState:
    state = planned(at(timedelta(0)))
    for happening in history:
        state = after(state, plan, happening)
    return state


@given(plan=plans, state=states, passed=times, seen=observations)
def test_nothing_is_inferred_from_absence(
    plan: RolloutPlan, state: RolloutState, passed: timedelta, seen: Observed
) -> None:
    """Without evidence or without the judge an observation moves nothing but the reason."""
    for absent in (replace(seen, judged=None), Observed(seen.now, unhealthy=seen.unhealthy)):
        then = after(state, plan, Happening(passed, absent))
        assert replace(then, why="", at_gate=False) == replace(state, why="", at_gate=False)
        assert then.why


@given(plan=plans, state=states, passed=times, seen=observations)
def test_an_observation_goes_on_only_by_all_the_evidence(
    plan: RolloutPlan, state: RolloutState, passed: timedelta, seen: Observed
) -> None:
    then = after(state, plan, Happening(passed, seen))
    if then.phase is RolloutPhase.ROLLING_BACK and state.phase is not then.phase:
        assert seen.judged is not None
        assert seen.judged.finding is HarmFinding.HARM
    elif (then.phase, then.step) != (state.phase, state.step):
        step = state.asks(plan)
        assert step is not None
        assert seen.judged is not None
        assert not state.paused
        assert not seen.unhealthy
        assert not (step.manual or seen.judged.holds) or then.phase is RolloutPhase.ABORTING
        assert seen.evidence[LABELS].count >= 200
        assert seen.judged.at >= state.since.clock
        assert at(passed).clock - seen.judged.at <= SILENT_AFTER
        assert at(passed).passed_since(state.since) >= step.least
        assert seen.judged.finding is HarmFinding.NO_WORSE or step.on_not_told is not OnNotTold.HOLD


@given(plan=plans, history=histories, passed=times, later=histories)
def test_an_abort_takes_the_candidate_from_every_key_for_good(
    plan: RolloutPlan, history: list[Happening], passed: timedelta, later: list[Happening]
) -> None:
    state = reached(plan, history)
    if state.phase in FINISHED:
        with pytest.raises(ConfigurationError, match="cannot abort"):
            order(state, plan, RolloutOrder.ABORT, at(passed))
        return
    state = order(state, plan, RolloutOrder.ABORT, at(passed))
    for happening in later:
        assert state.share(plan) == 0
        state = after(state, plan, happening)
    assert done(state, at(passed)).phase in (RolloutPhase.ABORTED, RolloutPhase.ROLLED_BACK)


@given(plan=plans, state=states, passed=times, later=histories)
def test_harm_rolls_back_at_once_and_for_good_though_the_rollout_is_paused(
    plan: RolloutPlan, state: RolloutState, passed: timedelta, later: list[Happening]
) -> None:
    harm = after(state, plan, Happening(passed, Observed(at(passed), judged=Judged(HarmFinding.HARM, NOON))))
    assert (harm.phase is RolloutPhase.ROLLING_BACK) == (state.phase in {*JUDGED, RolloutPhase.ROLLING_BACK})
    if state.phase in JUDGED:
        for happening in later:
            harm = after(harm, plan, happening)
            assert harm.share(plan) == 0


@given(plan=plans, history=histories, happening=happenings)
def test_what_is_finished_stays_as_it_is(plan: RolloutPlan, history: list[Happening], happening: Happening) -> None:
    state = reached(plan, history)
    if state.phase in FINISHED:
        assert after(state, plan, happening) == state


@given(plan=plans, history=histories)
def test_there_is_always_a_reason(plan: RolloutPlan, history: list[Happening]) -> None:
    assert reached(plan, history).why


def test_a_candidate_that_is_no_worse_goes_through_all_steps_and_the_probation() -> None:
    state = order(planned(at(timedelta(0))), PLAN, RolloutOrder.START, at(timedelta(0)))
    shares, phases = [state.share(PLAN)], [state.phase.value]
    for number in range(1, 5):
        state = observe(state, PLAN, all_that_is_asked(HarmFinding.NO_WORSE, 11 * number * DAY))
        state = done(state, at(11 * number * DAY))
        shares.append(state.share(PLAN))
        phases.append(state.phase.value)
    assert shares == [0, 0.05, 0.25, 1, 1]
    assert phases == ["step", "step", "step", "probation", "promoted"]


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        pytest.param(
            Observed(at(DAY), {LABELS: Gathered(38, 81.0)}, Judged(HarmFinding.NO_WORSE, NOON + DAY)),
            "held: 38 of 200 labelled events, about 2 h at this rate",
            id="too few labels",
        ),
        pytest.param(
            Observed(at(DAY), {LABELS: Gathered(38, 0.0)}, Judged(HarmFinding.NO_WORSE, NOON + DAY)),
            "held: 38 of 200 labelled events, and none are coming",
            id="labels that stopped",
        ),
        pytest.param(
            Observed(at(DAY), {}, Judged(HarmFinding.NO_WORSE, NOON + DAY)),
            "held: nobody reports labelled events, of which 200 are needed",
            id="no count",
        ),
        pytest.param(
            replace(all_that_is_asked(HarmFinding.NO_WORSE), judged=None),
            "held: the judge has not looked since the step began",
            id="a silent judge",
        ),
        pytest.param(
            replace(all_that_is_asked(HarmFinding.NO_WORSE), judged=Judged(HarmFinding.NO_WORSE, NOON - HOUR)),
            "held: the judge has not looked since the step began",
            id="a judge that looked before",
        ),
        pytest.param(
            replace(all_that_is_asked(HarmFinding.NO_WORSE), judged=Judged(HarmFinding.NO_WORSE, NOON + DAY)),
            "held: the judge last looked 10 d ago",
            id="a judge that has gone silent",
        ),
        pytest.param(
            all_that_is_asked(HarmFinding.NO_WORSE, HOUR / 4),
            "held: 45 min of 1 h are left, by the clock or in event time",
            id="too soon",
        ),
        pytest.param(
            replace(all_that_is_asked(HarmFinding.NO_WORSE), now=at(HOUR / 2, 9 * DAY)),
            "held: 30 min of 1 h are left, by the clock or in event time",
            id="a backlog runs through",
        ),
        pytest.param(
            replace(all_that_is_asked(HarmFinding.NO_WORSE), unhealthy=("key N1 was in both arms",)),
            "held: key N1 was in both arms",
            id="a health check",
        ),
        pytest.param(
            holding(all_that_is_asked(HarmFinding.NOT_TOLD, DAY)),
            "held: the judge cannot tell yet; after 7 d it will hold; drift: temp",
            id="not told yet, and a check that holds",
        ),
        pytest.param(
            all_that_is_asked(HarmFinding.NOT_TOLD, DAY),
            "held: the judge cannot tell yet; after 7 d it will hold",
            id="not told yet",
        ),
        pytest.param(
            all_that_is_asked(HarmFinding.NOT_TOLD), "held: not told within 7 d; promote or abort it", id="not told"
        ),
    ],
)
def test_a_step_is_held_and_says_why(observed: Observed, why: str) -> None:
    assert observe(in_step(), PLAN, observed) == replace(in_step(), why=why)


@pytest.mark.parametrize(
    ("finding", "on_not_told", "why"),
    [
        pytest.param(HarmFinding.NO_WORSE, OnNotTold.HOLD, "the judge found it no worse; drift: temp", id="no worse"),
        pytest.param(
            HarmFinding.NOT_TOLD,
            OnNotTold.PROMOTE,
            "not told within 7 d, and declared to go on; drift: temp",
            id="not told",
        ),
    ],
)
def test_a_step_that_a_check_holds_waits_for_resume_and_goes_on_by_itself_once_nothing_holds_it(
    finding: HarmFinding, on_not_told: OnNotTold, why: str
) -> None:
    plan = plan_of(replace(STEP, on_not_told=on_not_told))
    free = all_that_is_asked(finding)
    held = observe(in_step(0), plan, holding(free))
    assert held == replace(in_step(0), why=f"held: {why}; waits for resume", at_gate=True)
    assert order(held, plan, RolloutOrder.RESUME, at(11 * DAY)).step == 1
    assert observe(held, plan, free).step == 1


def test_a_step_that_a_check_holds_is_aborted_where_that_was_declared() -> None:
    plan = plan_of(replace(STEP, on_not_told=OnNotTold.ABORT))
    seen = holding(all_that_is_asked(HarmFinding.NOT_TOLD))
    assert observe(in_step(0), plan, seen).phase is RolloutPhase.ABORTING


@pytest.mark.parametrize(
    ("on_not_told", "phase"),
    [
        pytest.param(OnNotTold.HOLD, RolloutPhase.STEP, id="hold"),
        pytest.param(OnNotTold.PROMOTE, RolloutPhase.PROMOTING, id="go on"),
        pytest.param(OnNotTold.ABORT, RolloutPhase.ABORTING, id="abort"),
    ],
)
def test_what_follows_when_a_judge_with_all_evidence_cannot_tell_is_declared(
    on_not_told: OnNotTold, phase: RolloutPhase
) -> None:
    plan = plan_of(replace(STEP, on_not_told=on_not_told))
    assert observe(in_step(), plan, all_that_is_asked(HarmFinding.NOT_TOLD)).phase is phase


def test_a_manual_gate_waits_for_resume() -> None:
    plan = plan_of(replace(STEP, manual=True))
    with pytest.raises(ConfigurationError, match="cannot resume"):
        order(in_step(0), plan, RolloutOrder.RESUME, at(DAY))
    state = observe(in_step(0), plan, all_that_is_asked(HarmFinding.NO_WORSE))
    assert (state.step, state.why) == (0, "held: the judge found it no worse; waits for resume")
    assert order(state, plan, RolloutOrder.RESUME, at(12 * DAY)).step == 1
    assert resumed(state, plan, at(12 * DAY), "by a tag").step == 1
    assert resumed(in_step(0), plan, at(12 * DAY), "by a tag") == in_step(0), "it waits for evidence"


def test_a_pause_holds_until_resume() -> None:
    paused = order(in_step(), PLAN, RolloutOrder.PAUSE, at(HOUR))
    assert observe(paused, PLAN, all_that_is_asked(HarmFinding.NO_WORSE)) == paused
    going_on = order(paused, PLAN, RolloutOrder.RESUME, at(DAY))
    assert observe(going_on, PLAN, all_that_is_asked(HarmFinding.NO_WORSE)).step == 2


@pytest.mark.parametrize(
    ("state", "command"),
    [
        pytest.param(planned(at(HOUR)), RolloutOrder.PROMOTE, id="promote what never started"),
        pytest.param(in_step(), RolloutOrder.START, id="start twice"),
        pytest.param(in_step(paused=True), RolloutOrder.PAUSE, id="pause twice"),
        pytest.param(in_step(), RolloutOrder.RESUME, id="resume what is not paused"),
        pytest.param(replace(in_step(), phase=RolloutPhase.ROLLING_BACK), RolloutOrder.PROMOTE, id="promote harm"),
        pytest.param(replace(in_step(), phase=RolloutPhase.ROLLED_BACK), RolloutOrder.START, id="start what was harm"),
    ],
)
def test_an_order_without_meaning_is_refused(state: RolloutState, command: RolloutOrder) -> None:
    with pytest.raises(ConfigurationError, match=f"cannot {command.value}"):
        order(state, PLAN, command, at(DAY))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"share": 1.5}, id="more than all keys"),
        pytest.param({"evidence": {}}, id="no evidence"),
        pytest.param({"evidence": {LABELS: 0}}, id="evidence of nothing"),
        pytest.param({"least": -HOUR}, id="less than no time"),
        pytest.param({"least": DAY, "most": HOUR}, id="longer than it may last"),
    ],
)
def test_a_step_that_could_end_by_absence_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="a rollout's step"):
        replace(STEP, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("steps", "probation", "message"),
    [
        pytest.param((), PROBATION, "at least one", id="no step"),
        pytest.param((replace(STEP, share=0.25), STEP), PROBATION, "never fall", id="falling shares"),
        pytest.param((STEP,), STEP, "in probation", id="a probation of some keys"),
    ],
)
def test_a_plan_that_moves_keys_back_is_refused(
    steps: tuple[RolloutStep, ...], probation: RolloutStep, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RolloutPlan(steps, probation=probation)
