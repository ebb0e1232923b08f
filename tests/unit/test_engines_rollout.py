"""A running job and its rollout: what it writes, which arms it plans, and what it does when something is in the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from streaming.clock import isoformat
from streaming.engines.arms import CandidateArms
from streaming.engines.rollout import RolloutFollower
from streaming.engines.rollout_ports import RolloutPorts
from streaming.errors import BrokerUnavailableError, CandidateRefusedError, PenstockError, RegistryUnavailableError
from streaming.ledger.arms import PlannedArms
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.offsets import OffsetRange
from streaming.refusal_codes import RefusalCode
from streaming.rollout.evidence import SILENT_AFTER, Gathered
from streaming.rollout.history import RolloutHistory
from streaming.rollout.intervals import CANDIDATE
from streaming.rollout.judge import HarmFinding
from streaming.rollout.machine import RolloutOrder
from streaming.rollout.plan import OnNotTold, RolloutPlan, RolloutStep
from streaming.rollout.records import Declaration, OrderGiven, Transition
from streaming.rollout.states import RolloutPhase
from streaming.rollout.verdict import CheckFinding, RolloutVerdict
from streaming.testing import ManualClock
from tests.support.versions import flights
from tests.unit.test_models_slot import prove, releases, served

HOUR = timedelta(hours=1)
STEP = RolloutStep(0.05, {"candidate events": 100}, most=HOUR, on_not_told=OnNotTold.PROMOTE)
QUARTER = RolloutStep(0.25, STEP.evidence, most=HOUR, on_not_told=OnNotTold.PROMOTE)
PROBATION = RolloutStep(1.0, STEP.evidence, most=HOUR, on_not_told=OnNotTold.PROMOTE)
PLAN = RolloutPlan((STEP, QUARTER), probation=PROBATION)
BY_LABELS = RolloutPlan((RolloutStep(0.05, {"labelled events": 200}), QUARTER), probation=PROBATION)
START, ABORT, PROMOTE = RolloutOrder.START, RolloutOrder.ABORT, RolloutOrder.PROMOTE


@dataclass
class Books:
    """A ledger in memory, with a reader's place in it; ``down`` is a broker that does not answer."""

    records: list[dict[str, Any]] = field(default_factory=list)
    read: int = 0
    down: bool = False

    def write(self, record: Mapping[str, Any]) -> None:
        if self.down:
            raise BrokerUnavailableError("the broker does not answer")
        self.records.append(json.loads(json.dumps(record)))

    def to_end(self) -> Iterator[dict[str, Any]]:
        if self.down:
            raise BrokerUnavailableError("the broker does not answer")
        while self.read < len(self.records):
            self.read += 1
            yield self.records[self.read - 1]

    def fresh(self, _seconds: float) -> Iterator[dict[str, Any]]:
        return self.to_end()


@dataclass
class Job:
    """What a job has: a slot with version 1, arms, and a registry in which version 2 is the candidate."""

    books: Books = field(default_factory=Books)
    slot: Slot = field(default_factory=Slot)
    clock: ManualClock = field(default_factory=ManualClock)
    models: dict[ModelKey, ServedModel] = field(default_factory=lambda: {flights(2): served(2)})
    seen: list[RolloutPhase] = field(default_factory=list)
    in_the_way: str = ""
    tag: str = ""
    """What the candidate's tag ``penstock.resume`` says in the registry."""
    named: list[int] = field(default_factory=list)
    failing: PenstockError | None = None
    batches: int = 0
    offset: int = 0

    def __post_init__(self) -> None:
        self.slot.swap(served(1))
        prove(self.slot)
        self.restart()

    def restart(self) -> None:
        """Another driver: nothing in memory but the slot."""
        self.books.read = 0
        self.arms = CandidateArms(lambda model: model.scorer.release())
        ports = RolloutPorts(
            application="app",
            slot=self.slot,
            versions=self,
            records=self.books,
            write=self.books.write,
            observer=self,
            clock=self.clock,
        )
        self.follower = RolloutFollower(ports, self.arms)

    def candidate(self, key: ModelKey) -> ServedModel:
        if self.failing:
            raise self.failing
        return self.models[key]

    def name_champion(self, key: ModelKey, in_place_of: ModelKey | None = None) -> str:
        self.named.append(key.version)
        if not self.in_the_way:
            self.slot.swap(served(key.version))
            prove(self.slot)
        return self.in_the_way

    def resume_tag(self, key: ModelKey) -> str:
        if self.failing:
            raise self.failing
        return self.tag

    def take_back(self, key: ModelKey, reason: str) -> None:
        self.slot.roll_back(key)

    def rollout_moved(self, transition: Transition, serving: ServedModel | None) -> None:
        self.seen.append(transition.state.phase)

    def rollout_seen(self, transition: Transition) -> None:
        """What an earlier driver wrote is not counted again."""

    def declare(self, plan: RolloutPlan = PLAN) -> Job:
        at = isoformat(self.clock())
        declared = Declaration(
            name="flights-2", application="app", candidate=flights(2), salt="flights-2", plan=plan, at=at
        )
        self.books.write(declared.to_dict())
        return self

    def ordered(self, *orders: RolloutOrder) -> Job:
        for order in orders:
            self.books.write(OrderGiven("flights-2", "app", order, isoformat(self.clock())).to_dict())
        return self.looked()

    def looked(self) -> Job:
        self.follower.look(0.0)
        return self

    def planned(self) -> PlannedArms:
        serving = self.slot.current()
        assert serving is not None
        return self.arms.planned(serving.version, self.slot.held)

    def batch(self, candidate: int = 0, champion: int = 1_000, letters: int = 0, boundary: str | None = None) -> Job:
        """A batch by the arms as they are planned, with so many events answered; then a look.

        ``boundary`` is that of a real-time query: ``counted``, or ``repeated`` where another one has answered, too.
        """
        self.batches += 1
        arms, size = self.planned(), champion + candidate + letters
        part = OffsetRange(self.offset, self.offset + size)
        self.offset = part.end
        plan = Plan(
            id=f"1.{self.batches}",
            application="app",
            topic="features",
            topic_id="id",
            checkpoint="c",
            batch=self.batches,
            ranges={0: part},
            arms=arms,
            at=isoformat(self.clock()),
        )
        self.books.write(plan.to_dict())
        dead = {"PIPELINE_THREW": letters} if letters else {}
        by_arm = {
            "champion": {"predictions": champion, "dead_letters": {}, "newest": isoformat(self.clock())},
            "candidate": {"predictions": candidate, "dead_letters": dead, "newest": ""},
        }
        segments = [[plan.id, part.start, part.end]]
        counts = {
            "predictions": champion + candidate,
            "dead_letters": dead,
            "skipped": 0,
            "segments": segments,
        }
        partitions = {"0": {**counts, "arms": by_arm} if len(arms.arms) > 1 else counts}
        at = isoformat(self.clock())
        record = {"type": "outcome", "plan": plan.id, "application": "app", "partitions": partitions, "at": at}
        if boundary is not None:
            # The live engine does not count its partitions, but all of them together.
            record |= {"partitions": {"0": {"segments": segments}}, "arms": by_arm if boundary == "counted" else {}}
        self.books.write(record)
        return self.looked()

    def judged(self, finding: HarmFinding, epoch: int = 1, labelled: int = 0, why: str = "so the labels say") -> Job:
        """The judge writes, and the job looks."""
        verdict = RolloutVerdict(
            rollout="flights-2",
            application="app",
            weight_epoch=epoch,
            finding=finding,
            why=why,
            checks={"gross harm": CheckFinding(finding, labelled, {}, f"{finding.value}: {why}")},
            evidence={"labelled events": Gathered(labelled, 81.0)},
            at=isoformat(self.clock()),
        )
        self.books.write(verdict.to_dict())
        return self.looked()

    def waited(self, length: timedelta) -> Job:
        self.clock.advance(length.total_seconds())
        return self.looked()

    @property
    def transitions(self) -> list[dict[str, Any]]:
        return [record for record in self.books.records if record.get("kind") == "transition"]

    @property
    def phase(self) -> tuple[str, int]:
        last = self.transitions[-1]
        return last["phase"], last["step"]

    def share(self) -> float:
        assignment = self.planned().assignment
        return assignment.intervals.points(CANDIDATE) / 2**32 if assignment else 0.0


def in_first_step(plan: RolloutPlan = PLAN) -> Job:
    return Job().declare(plan).looked().ordered(START)


def test_without_a_rollout_the_champion_is_alone() -> None:
    job = Job().looked()
    assert (str(job.planned()), job.transitions) == ("flights v1", [])


def test_a_declared_rollout_waits_for_the_order() -> None:
    job = Job().declare().looked()
    assert (job.share(), job.transitions) == (0.0, [])


def test_a_started_rollout_has_its_share_and_its_plans_name_the_step() -> None:
    job = in_first_step()
    assert job.share() == pytest.approx(0.05, abs=1e-9)
    planned = job.planned()
    assert planned.weights is not None
    assert (planned.weights.rollout, planned.weights.epoch) == ("flights-2", 1)
    assert job.transitions[0]["champion"] == 1


def test_steps_follow_evidence_and_time_and_no_key_comes_back() -> None:
    job = in_first_step().batch(candidate=60).waited(2 * HOUR)
    assert job.phase == ("step", 0), "60 of 100 events"
    before = job.planned().assignment
    job.batch(candidate=40)
    assert job.phase == ("step", 1)
    after = job.planned().assignment
    assert before is not None
    assert after is not None
    points = [2**32 * n // 997 for n in range(997)]
    assert all(after.intervals.arm_at(p) == CANDIDATE for p in points if before.intervals.arm_at(p) == CANDIDATE)
    assert job.transitions[-1]["evidence"]["candidate events"] == 100
    assert "not told within 1 h" in job.transitions[-1]["why"]


def test_boundaries_of_the_live_engine_count_as_batches_do_and_what_they_repeat_does_not() -> None:
    job = in_first_step().batch(candidate=90, boundary="counted").batch(candidate=90, boundary="repeated")
    job.waited(timedelta(hours=3))
    assert job.phase == ("step", 0)
    assert job.batch(candidate=10, boundary="counted").phase == ("step", 1)


def test_a_whole_rollout_ends_with_the_candidate_as_champion() -> None:
    job = in_first_step()
    for _ in range(2):
        job.batch(candidate=100).waited(2 * HOUR)
    assert (job.phase, job.named) == (("probation", 1), [2])
    assert str(job.planned()) == "flights v2"
    assert job.planned().weights is not None, "its batches are counted in probation, too"
    job.batch(champion=200).waited(2 * HOUR)
    assert job.phase == ("promoted", 1)
    assert job.planned().weights is None
    phases = ["step", "step", "promoting", "probation", "promoted"]
    assert [transition["phase"] for transition in job.transitions] == phases
    assert [phase.value for phase in job.seen] == phases
    assert [transition["weight_epoch"] for transition in job.transitions] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(RolloutPlan((RolloutStep(0.05, {"labelled events": 9}),), probation=PROBATION), id="no labels"),
        pytest.param(
            RolloutPlan((RolloutStep(0.05, {"candidate events": 9}),), probation=PROBATION), id="no longest time"
        ),
    ],
)
def test_nothing_is_inferred_from_absence(plan: RolloutPlan) -> None:
    job = in_first_step(plan).batch(candidate=5_000)
    for _ in range(30):
        job.waited(timedelta(hours=23))
    assert {transition["phase"] for transition in job.transitions} == {"step"}


GATED = RolloutPlan((replace(STEP, manual=True), QUARTER), probation=PROBATION)


def at_the_gate() -> Job:
    """A rollout whose first step has all that it asks for, and waits for somebody."""
    return in_first_step(GATED).batch(candidate=100).waited(2 * HOUR)


@pytest.mark.parametrize(
    ("tag", "failing", "step"),
    [
        pytest.param("flights-2/1", None, 1, id="names the step"),
        pytest.param("flights-2/2", None, 0, id="names another step"),
        pytest.param("flights-2.2/1", None, 0, id="names another rollout"),
        pytest.param("yes", None, 0, id="names nothing"),
        pytest.param("", None, 0, id="is not there"),
        pytest.param("flights-2/1", RegistryUnavailableError("no answer"), 0, id="cannot be read"),
    ],
)
def test_a_manual_step_is_passed_by_a_tag_that_names_it(
    tag: str, failing: PenstockError | None, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = at_the_gate()
    assert "waits for resume" in job.transitions[-1]["why"]
    job.tag, job.failing = tag, failing
    assert job.looked().phase == ("step", 0), "the registry is not asked all the time"
    monkeypatch.setattr("streaming.engines.tries.time.monotonic", lambda: 1e12)
    assert job.looked().phase == ("step", step)
    if step:
        assert job.transitions[-1]["why"] == "resumed by the tag penstock.resume=flights-2/1"


def test_a_tag_passes_no_step_that_lacks_evidence_or_is_paused() -> None:
    job = in_first_step(GATED)
    job.tag = "flights-2/1"
    assert job.batch(candidate=99).waited(2 * HOUR).phase == ("step", 0)
    assert job.ordered(RolloutOrder.PAUSE).batch(candidate=1).phase == ("step", 0)
    assert job.ordered(RolloutOrder.RESUME).phase == ("step", 1), "it was set while the step went on, by its name"


DAYS_WITH_LABELS = {"labelled days": 10}


def in_shadow_step(job: Job | None = None) -> Job:
    return (
        (job or Job())
        .declare(RolloutPlan((RolloutStep(0, DAYS_WITH_LABELS), STEP), probation=PROBATION))
        .ordered(START)
    )


def test_in_a_shadow_step_the_champion_answers_everything_and_the_plans_name_the_step() -> None:
    # A candidate that cannot be loaded does not matter: the job does not load it.
    job = in_shadow_step(Job(failing=RegistryUnavailableError("no answer")))
    for planned in (job.planned(), job.batch().planned()):
        assert str(planned) == "flights v1"
        assert planned.weights is not None
        assert (planned.weights.rollout, planned.weights.epoch) == ("flights-2", 1)
    assert (job.phase, job.transitions[-1]["problems"]) == (("step", 0), [])
    job.restart()
    assert job.looked().planned() == planned, "another driver goes on with it"
    for _ in range(30):
        job.waited(timedelta(days=1))
    assert job.phase == ("step", 0), "nothing is inferred from a judge that is silent"


@pytest.mark.parametrize("ending", ["abort", "hold"])
def test_a_shadow_step_that_ends_leaves_plans_without_a_rollout(ending: str) -> None:
    job = in_shadow_step()
    if ending == "hold":
        job.slot.hold(flights(2))
        assert job.planned().weights is None, "before anything is written"
        job.looked()
    else:
        job.ordered(ABORT)
    assert job.phase[0] == {"abort": "aborted", "hold": "rolled back"}[ending]
    assert (str(job.planned()), job.planned().weights) == ("flights v1", None)
    assert job.named == [], "the registry was never changed"


def test_a_candidate_that_is_promoted_out_of_its_shadow_is_loaded_then() -> None:
    job = in_shadow_step().ordered(PROMOTE)
    assert (job.phase, job.named, str(job.planned())) == (("probation", 0), [2], "flights v2")


def test_after_an_abort_the_next_batch_is_the_champions_alone() -> None:
    job = in_first_step().ordered(ABORT)
    assert str(job.planned()) == "flights v1"
    assert [transition["phase"] for transition in job.transitions] == ["step", "aborting", "aborted"]
    assert releases(job.models[flights(2)]) == 1
    assert not job.slot.held, "somebody who aborts may start it again"


def test_a_batch_that_failed_rolls_back_with_its_reason() -> None:
    job = in_first_step()
    job.arms.give_up("both arms threw")
    assert str(job.planned()) == "flights v1", "before anything is written"
    job.looked()
    assert [transition["phase"] for transition in job.transitions][1:] == ["rolling back", "rolled back"]
    assert job.transitions[1]["why"] == "both arms threw"
    assert job.waited(HOUR).share() == 0.0


@pytest.mark.parametrize("before", [1, 2], ids=["in a step", "in probation"])
def test_a_candidate_that_is_put_on_hold_goes_back(before: int) -> None:
    job = in_first_step() if before == 1 else in_first_step().ordered(PROMOTE)
    job.slot.hold(flights(2))
    job.looked()
    assert job.phase[0] == "rolled back"
    assert str(job.planned()) == "flights v1"
    assert "on hold" in job.transitions[-1]["why"]


def test_an_abort_in_probation_gives_the_registry_its_champion_back() -> None:
    job = in_first_step().ordered(PROMOTE)
    assert (job.phase, str(job.planned())) == (("probation", 0), "flights v2")
    job.ordered(ABORT)
    assert (job.phase, str(job.planned()), job.named) == (("aborted", 0), "flights v1", [2, 1])
    assert flights(2) in job.slot.held, "the follower would otherwise take it again before the registry has changed"


@pytest.mark.parametrize(
    ("problem", "again"),
    [
        pytest.param(RegistryUnavailableError("no answer"), True, id="the registry is silent"),
        pytest.param(CandidateRefusedError(RefusalCode.CORRUPT_FILES, "unreadable"), False, id="it fails a check"),
    ],
)
def test_a_candidate_that_cannot_be_loaded_holds_the_rollout_and_says_why(
    problem: PenstockError, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(failing=problem).declare().looked().ordered(START)
    assert (job.share(), job.phase) == (0.0, ("step", 0))
    assert job.transitions[-1]["problems"] == [str(problem)]
    assert str(problem) in job.transitions[-1]["why"]
    written = len(job.transitions)
    job.failing = None
    assert len(job.waited(HOUR).transitions) == written, "not tried again at once"
    monkeypatch.setattr("streaming.engines.tries.time.monotonic", lambda: 1e12)
    job.looked()
    assert (job.share() > 0) is again
    assert len(job.transitions) == written + again


def test_what_keeps_the_registry_from_naming_it_is_said_and_the_candidate_keeps_its_keys() -> None:
    job = in_first_step()
    job.in_the_way = "model.version pins v1"
    job.ordered(PROMOTE)
    assert (job.phase[0], job.share()) == ("promoting", 1.0)
    assert job.transitions[-1]["problems"] == ["model.version pins v1"]


def test_the_registry_naming_the_candidate_by_hand_is_a_promotion() -> None:
    job = in_first_step()
    job.slot.swap(served(2))
    assert job.looked().phase[0] == "probation"
    assert "the registry names it champion" in job.transitions[-1]["why"]


def test_a_broker_that_is_away_changes_no_arms_and_nothing_is_written_twice() -> None:
    job = in_first_step()
    job.books.down = True
    with pytest.raises(BrokerUnavailableError):
        job.looked()
    assert job.share() == pytest.approx(0.05)
    job.arms.give_up("it threw")
    with pytest.raises(BrokerUnavailableError):
        job.looked()
    job.books.down = False
    job.looked()
    assert [transition["phase"] for transition in job.transitions] == ["step", "rolling back", "rolled back"]


def written_in_vain(job: Job) -> None:
    """The broker takes the record, and its answer is lost."""
    write = job.books.write

    def lost(record: Mapping[str, Any]) -> None:
        write(record)
        raise BrokerUnavailableError("no answer")

    job.books.write = lost  # type: ignore[method-assign]
    job.restart()
    with pytest.raises(BrokerUnavailableError):
        job.looked()
    job.books.write = write  # type: ignore[method-assign]


@pytest.mark.parametrize("after", [Job.restart, lambda job: None], ids=["another driver", "the same one"])
def test_a_transition_whose_answer_was_lost_is_not_written_again(after: Callable[[Job], None]) -> None:
    job = Job().declare()
    job.books.write(OrderGiven("flights-2", "app", START, isoformat(job.clock())).to_dict())
    written_in_vain(job)
    after(job)
    job.looked()
    assert [transition["number"] for transition in job.transitions] == [1]


def test_another_driver_goes_on_with_the_same_arms_and_counts() -> None:
    job = in_first_step().batch(candidate=60).waited(2 * HOUR)
    before = job.planned()
    job.restart()
    assert job.looked().planned() == before
    assert job.batch(candidate=40).phase == ("step", 1)
    history = RolloutHistory("app")
    for record in job.books.records:
        history = history.after(record)
    assert history.current is not None
    assert history.current.latest.to_dict() == job.transitions[-1]


def test_a_rollout_that_waits_for_weeks_is_written_again_before_the_ledger_forgets_it() -> None:
    job = in_first_step(RolloutPlan((RolloutStep(0.05, {"labelled events": 9}),), probation=PROBATION))
    job.waited(timedelta(days=2))
    last = job.transitions[-1]
    job.books.records = [last]
    job.restart()
    assert job.looked().share() == pytest.approx(0.05)


@pytest.mark.parametrize("plan", [PLAN, BY_LABELS], ids=["a step without labels", "a step that waits for labels"])
def test_harm_that_the_judge_wrote_rolls_back_with_the_next_batch(plan: RolloutPlan) -> None:
    job = in_first_step(plan).batch(candidate=9).judged(HarmFinding.HARM, why="gross harm: on 150 labelled events")
    assert str(job.planned()) == "flights v1"
    assert job.phase == ("rolled back", 0)
    assert job.transitions[-2]["why"] == "the judge found harm: gross harm: on 150 labelled events"


def test_labels_and_a_judge_that_found_no_harm_end_a_step() -> None:
    job = in_first_step(BY_LABELS).batch(candidate=9).judged(HarmFinding.NO_WORSE, labelled=199)
    assert job.phase == ("step", 0), "one label is missing"
    job.judged(HarmFinding.NO_WORSE, labelled=200)
    assert job.phase == ("step", 1)
    assert job.transitions[-1]["evidence"]["labelled events"] == 200


@pytest.mark.parametrize("finding", HarmFinding)
def test_a_verdict_on_an_earlier_step_decides_nothing(finding: HarmFinding) -> None:
    job = in_first_step(BY_LABELS).batch(candidate=9).judged(HarmFinding.NO_WORSE, labelled=200)
    epoch = job.transitions[-1]["weight_epoch"]
    job.batch(candidate=1_000).judged(finding, epoch=epoch - 1, labelled=200)
    assert job.phase == ("step", 1)


def test_a_judge_that_has_gone_silent_holds_a_step_that_waits_for_labels() -> None:
    job = in_first_step(BY_LABELS).batch(candidate=9).judged(HarmFinding.NO_WORSE, labelled=199)
    job.waited(SILENT_AFTER * 2)
    job.books.records[-1]["evidence"]["labelled events"]["count"] = 200
    job.restart()
    assert job.looked().phase == ("step", 0)


def test_a_step_without_labels_does_not_wait_for_a_judge_that_has_gone_silent() -> None:
    job = in_first_step().judged(HarmFinding.NOT_TOLD).waited(2 * HOUR).batch(candidate=100)
    assert job.phase == ("step", 1)
