"""The judge's drift check, by the windows that the drift job's own monitor makes of what both versions answered."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.verbs.rollout.display import show_status
from schemas.drift import SummaryRecord
from streaming.clock import moment
from streaming.drift.decision import DetectionRules, noiseless_effect
from streaming.drift.monitor import Monitor, MonitoredModel
from streaming.drift.windows import WindowSpec
from streaming.judging.drift import MOST_WINDOWS, DriftBook
from streaming.judging.rounds import JudgeRounds
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.ref import ModelKey
from streaming.rollout.checks import JudgeRules, RolloutCheck
from streaming.rollout.drift import TOLERATED, judge_drift
from streaming.rollout.judge import HarmFinding
from streaming.rollout.machine import RolloutOrder
from streaming.rollout.plan import RolloutPlan, RolloutStep
from tests.support.drifts import categorical, normal_shares, numeric, pair
from tests.support.judging import SUBJECT, MadeUpTopics
from tests.support.laws import examples
from tests.unit.test_drift_monitor import HOUR, NOW, PROFILE, Sink, Store, an_hour
from tests.unit.test_engines_rollout import PLAN, PROBATION, START, STEP, Job, in_first_step
from tests.unit.test_rollout_status import status

CANDIDATE = ModelKey("flights", 2)
LEARNT_ELSEWHERE = ReferenceProfile(
    (ColumnProfile("distance", "numeric", {0: 9_000, 1: 1_000}, edges=(10.0,)), PROFILE.columns[1]), 10_000
)
"""The profile of a version that was trained on shorter flights than the stream has."""
Windows = list[tuple[datetime, SummaryRecord]]
DRIFTS = frozenset({RolloutCheck.DRIFT})


def windows(
    *hours: tuple[int, int],
    profile: ReferenceProfile | None = LEARNT_ELSEWHERE,
    champion: ReferenceProfile | None = PROFILE,
    rows: int = 1_000,
    written: datetime | None = None,
) -> Windows:
    """What the drift job publishes of hours in which so many of 1,000 flights of champion and candidate are long."""
    sink, profiles = Sink(), {1: champion, 2: profile}
    subject = MonitoredModel("app", "flights", WindowSpec(HOUR, HOUR, 0, 60_000), DetectionRules())
    monitor = Monitor(subject, lambda key: profiles[key.version], sink, Store())
    monitor.restore(NOW)
    for number, (ours, theirs) in enumerate(hours):
        answered = [an_hour(number, far=ours), an_hour(number, far=theirs * rows // 1_000, rows=rows, version=2)]
        monitor.take(number, answered, NOW)
    monitor.finish()
    return [(written or moment(0), summary) for summary in sink.summaries]


LONG, SHORT = (500, 500), (100, 100)
"""Hours as the champion was trained, and as a candidate that learnt elsewhere was."""


def held_by(summaries: Windows) -> tuple[HarmFinding, bool]:
    book = DriftBook("app", CANDIDATE)
    book.add(summaries)
    verdict = judge_drift(book.pairs(1), TOLERATED)
    return verdict.finding, verdict.holds


@pytest.mark.parametrize(
    ("summaries", "expected"),
    [
        pytest.param(windows(LONG, LONG), (HarmFinding.NOT_TOLD, True), id="the candidate learnt elsewhere"),
        pytest.param(windows(LONG), (HarmFinding.NO_WORSE, False), id="one window is a warning"),
        pytest.param(windows(LONG, LONG, profile=PROFILE), (HarmFinding.NO_WORSE, False), id="as both were trained"),
        pytest.param(windows(SHORT, SHORT, profile=PROFILE), (HarmFinding.NO_WORSE, False), id="both left home"),
        pytest.param(windows(SHORT, SHORT), (HarmFinding.NO_WORSE, False), id="a candidate for the new world"),
        pytest.param(
            windows((500, 900), (500, 900), profile=PROFILE), (HarmFinding.NOT_TOLD, True), id="keys unlike the others"
        ),
        pytest.param(windows(LONG, LONG, SHORT), (HarmFinding.NOT_TOLD, True), id="a window that is as it should be"),
        pytest.param(windows(LONG, LONG, SHORT, SHORT), (HarmFinding.NO_WORSE, False), id="two such windows end it"),
        pytest.param(windows(LONG, LONG, profile=None), (HarmFinding.NOT_TOLD, False), id="no profile"),
        pytest.param(windows(LONG, LONG, champion=None), (HarmFinding.NOT_TOLD, False), id="no profile of champion's"),
        pytest.param(windows(LONG, LONG, rows=400), (HarmFinding.NOT_TOLD, False), id="too few rows"),
    ],
)
def test_what_the_drift_job_publishes_holds_a_rollout_if_the_candidate_alone_is_far_from_home(
    summaries: Windows, expected: tuple[HarmFinding, bool]
) -> None:
    assert held_by(summaries) == expected


@pytest.mark.parametrize("kind", [numeric, categorical])
@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 1.0, 1.5, 2.0])
def test_two_arms_of_one_stream_are_as_far_from_home_however_far_it_has_moved(
    kind: Callable[[list[int]], ColumnProfile], shift: float
) -> None:
    drawn, profile = np.random.default_rng(31), kind([2_000] * 10 + [0, 0, 0])
    shares = normal_shares(shift=shift)

    def distance(rows: int) -> float:
        return math.sqrt(noiseless_effect(pair(profile, drawn.multinomial(rows, shares))))

    gaps = [distance(500) - distance(9_500) for _ in range(200)]
    assert np.std(gaps) < 0.1
    assert max(gaps) <= TOLERATED


@pytest.mark.parametrize(
    ("application", "candidate", "champion"),
    [
        pytest.param("other", CANDIDATE, 1, id="another application"),
        pytest.param("app", ModelKey("trains", 2), 1, id="another model"),
        pytest.param("app", CANDIDATE, None, id="before the first step"),
        pytest.param("app", CANDIDATE, 7, id="another champion"),
    ],
)
def test_windows_of_others_are_not_compared(application: str, candidate: ModelKey, champion: int | None) -> None:
    book = DriftBook(application, candidate)
    book.add(windows(LONG, LONG))
    assert book.pairs(champion) == ()


hours_of_both = st.lists(st.sampled_from([LONG, SHORT, (500, 100), (100, 500)]), min_size=1, max_size=6)


@examples(40)
@given(hours=hours_of_both, seed=st.integers(0, 99), cuts=st.integers(1, 4))
def test_the_windows_are_the_same_in_any_order_and_partitioning_however_often_they_are_sent(
    hours: list[tuple[int, int]], seed: int, cuts: int
) -> None:
    summaries = windows(*hours)
    whole, parts = DriftBook("app", CANDIDATE), DriftBook("app", CANDIDATE)
    whole.add(summaries)
    again = [(written + timedelta(hours=1), summary) for written, summary in summaries]
    shuffled = random.Random(seed).sample(summaries + again, 2 * len(summaries))
    for part in range(cuts):
        parts.add(shuffled[part::cuts])
    assert parts.pairs(1) == whole.pairs(1)
    assert len(whole.pairs(1)) == len(hours)
    for later in (moment(0), moment(1)):
        assert parts.windows_since(later) == whole.windows_since(later)


def test_the_newest_windows_are_kept_in_whatever_order_they_come() -> None:
    summaries = windows(*[LONG] * (MOST_WINDOWS + 3))
    starts = set()
    for order in (summaries, summaries[::-1]):
        book = DriftBook("app", CANDIDATE)
        for window in order:
            book.add([window])
        assert len(book.pairs(1)) == MOST_WINDOWS
        starts.add(book.pairs(1)[0].start)
    assert starts == {"1970-01-01T03:00:00.000Z"}


def judged(job: Job, topics: MadeUpTopics) -> JudgeRounds:
    """A judge beside a job; both have the same ledger."""
    topics.books = job.books.records
    return JudgeRounds(SUBJECT, topics, job.clock)


def test_an_open_drift_holds_a_step_whose_time_is_over_until_a_window_closes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    job, topics = in_first_step(PLAN).batch(candidate=100), MadeUpTopics()
    judge = judged(job, topics)
    topics.windows += windows(LONG, LONG)
    verdict = judge.look()
    assert verdict is not None
    assert (verdict.finding, verdict.checks["drift"].holds) == (HarmFinding.NOT_TOLD, True)
    assert verdict.why.startswith("drift: the candidate's events are not those of its training: distance since")
    job.clock.advance(3_600)
    judge.look()
    assert job.looked().phase == ("step", 0), "it was declared to be promoted after an hour"
    assert status(job)["why"].startswith(
        "held: not told within 1 h, and declared to go on; drift: the candidate's events"
    )
    assert "waits for resume, or for the tag penstock.resume=flights-2/1" in status(job)["why"]
    show_status(status(job))
    assert "(holds only)" in " ".join(capsys.readouterr().out.split())
    topics.windows += windows(LONG, LONG, SHORT, SHORT)[4:]
    assert judge.look() is not None, "what holds no more is news"
    assert job.looked().phase == ("step", 1)


def test_somebody_who_knows_better_passes_a_drift_by_resume() -> None:
    job, topics = in_first_step(PLAN).batch(candidate=100), MadeUpTopics()
    topics.windows += windows(LONG, LONG)
    judge = judged(job, topics)
    job.clock.advance(3_600)
    judge.look()
    assert job.looked().phase == ("step", 0)
    assert job.ordered(RolloutOrder.RESUME).phase == ("step", 1)
    job.batch(candidate=100).clock.advance(3_600)
    judge.look()
    assert job.looked().phase == ("step", 1), "a step that begins does not close a drift"


def test_an_open_drift_holds_on_when_the_judge_falls_silent() -> None:
    job, topics = in_first_step(PLAN).batch(candidate=100), MadeUpTopics()
    topics.windows += windows(LONG, LONG)
    judged(job, topics).look()
    assert job.waited(timedelta(hours=9)).batch(candidate=1).phase == ("step", 0)


@pytest.mark.parametrize(
    ("rules", "summaries"),
    [
        pytest.param(JudgeRules(DRIFTS), windows(LONG, LONG), id="on dry run"),
        pytest.param(JudgeRules(tolerated_drift=2.0), windows(LONG, LONG), id="tolerated"),
        pytest.param(JudgeRules(), [], id="no drift job"),
    ],
)
def test_a_step_goes_on_where_nothing_holds_it(rules: JudgeRules, summaries: Windows) -> None:
    job, topics = in_first_step(RolloutPlan((STEP, STEP), probation=PROBATION, rules=rules)), MadeUpTopics()
    topics.windows += summaries
    job.batch(candidate=100).waited(timedelta(hours=1))
    judged(job, topics).look()
    assert job.looked().phase == ("step", 1)


def test_a_step_may_ask_for_drift_windows_which_count_from_its_beginning() -> None:
    asks = RolloutStep(0.05, {"drift windows": 2}, most=STEP.most, on_not_told=STEP.on_not_told)
    job, topics = Job().declare(RolloutPlan((asks, STEP), probation=PROBATION)), MadeUpTopics()
    job.looked().ordered(START).batch(candidate=100)
    judge = judged(job, topics)
    topics.windows += windows(LONG, LONG, LONG, profile=PROFILE, written=job.clock() - timedelta(seconds=1))
    job.waited(timedelta(hours=1))
    verdict = judge.look()
    assert verdict is not None
    assert verdict.evidence["drift windows"].count == 0
    assert job.looked().phase == ("step", 0)
    topics.windows += windows(*[LONG] * 5, profile=PROFILE, written=job.clock())[6:]
    assert judge.look() is not None, "the evidence is complete"
    assert job.looked().phase == ("step", 1)


@examples(15)
@given(hours=hours_of_both, looks=st.integers(1, 3))
def test_a_judge_that_was_restarted_holds_what_one_that_looked_all_along_holds(
    hours: list[tuple[int, int]], looks: int
) -> None:
    job, topics = in_first_step(PLAN).batch(candidate=9), MadeUpTopics()
    judge, summaries = judged(job, topics), windows(*hours, written=job.clock())
    for part in range(looks):
        topics.windows += summaries[part * len(summaries) // looks : (part + 1) * len(summaries) // looks]
        judge.look()
    job.clock.advance(60)
    final, restarted = judge.look(), JudgeRounds(SUBJECT, topics.restarted(), job.clock).look()
    assert final is not None
    assert restarted is not None
    assert (final.checks["drift"], final.holds) == (restarted.checks["drift"], restarted.holds)
    assert final.evidence["drift windows"] == restarted.evidence["drift windows"]
