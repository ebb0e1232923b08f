"""A server beside a rollout: each event has the arm that the stream would give it, by steps that the ledger has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.wiring.serving_rollout import require_identity
from schemas.dead_letter import Rejection
from streaming.clock import isoformat
from streaming.errors import BrokerUnavailableError, CandidateRefusedError, ConfigurationError
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.outputs.weights import WeightEpoch
from streaming.refusal_codes import RefusalCode
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE, ArmIntervals
from streaming.rollout.machine import RolloutOrder
from streaming.rollout.records import Declaration, OrderGiven, Transition, Weights
from streaming.rollout.states import RolloutPhase, RolloutState, RolloutTime
from streaming.scoring.row_pass import JsonRowPass
from streaming.serving.arms import ServedArm, ServedArms
from streaming.serving.passes import EventPasses
from streaming.serving.rollout_arms import RolloutArms, RolloutSource
from streaming.settings import EventSettings, ServeSettings, Settings
from streaming.testing import ManualClock
from tests.support.laws import examples
from tests.support.servers import STRICT, ServerBench, a_bench, event, flight_package, loaded
from tests.support.shadows import APPLICATION, NAME, NOW, PLAN

KEYED = EventSettings(key="carrier")
HALF = ALL_CHAMPION.changed_to({CANDIDATE: 0.5})
ASSIGNMENT = ArmAssignment("late-2", HALF)
EXAMPLES = json.loads(
    (Path(__file__).resolve().parents[2] / "schemas" / "contracts" / "rollout_assignment.json").read_text("utf-8")
)["examples"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[ServedModel]:
    folder = tmp_path_factory.mktemp("models")
    first, second = (loaded(flight_package(folder / str(n), n), KEYED) for n in (1, 2))
    return [first, second]


@dataclass
class LedgerInMemory:
    """A ledger's records, and what it answers instead while it is away."""

    records: list[Mapping[str, Any]] = field(default_factory=list)
    read: int = 0
    away: str = ""

    def to_end(self) -> Iterable[Mapping[str, Any]]:
        return self.fresh(0.0)

    def fresh(self, seconds: float) -> Iterator[Mapping[str, Any]]:
        if self.away:
            raise BrokerUnavailableError(self.away)
        while self.read < len(self.records):
            self.read += 1
            yield self.records[self.read - 1]


@dataclass
class Scene:
    """What a server follows, and what it has loaded and given back; each look is the test's."""

    candidate: ServedModel
    slot: Slot = field(default_factory=Slot)
    ledger: LedgerInMemory = field(default_factory=LedgerInMemory)
    refusal: CandidateRefusedError | None = None
    loads: list[ModelKey] = field(default_factory=list)
    released: list[ServedModel] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.arms = RolloutArms(
            RolloutSource(
                application=APPLICATION,
                model=NAME,
                slot=self.slot,
                records=self.ledger,
                load=self.load,
                release=self.released.append,
                clock=ManualClock(),
            )
        )

    def load(self, key: ModelKey) -> ServedModel:
        self.loads.append(key)
        if self.refusal is not None:
            raise self.refusal
        return self.candidate

    def declared(self) -> Declaration:
        return Declaration(NAME + "-2", APPLICATION, ModelKey(NAME, 2), "late-2", PLAN, isoformat(NOW))

    def moves(self, number: int, phase: RolloutPhase, step: int = 0, intervals: ArmIntervals = ALL_CHAMPION) -> None:
        """Record a transition and look."""
        if not self.ledger.records:
            self.ledger.records.append(self.declared().to_dict())
        time = RolloutTime(NOW, NOW)
        transition = Transition(
            declaration=self.declared(),
            number=number,
            orders=1,
            state=RolloutState(phase, step, time, "so it is"),
            weights=Weights(number, intervals),
            champion=1,
            at=isoformat(NOW),
        )
        self.ledger.records.append(transition.to_dict())
        self.arms.look(0.0)


def shape(arms: ServedArms) -> tuple[int, int | None, int | None]:
    """The champion's version, the step's epoch, and the candidate's version."""
    weights, candidate = arms.champion.weights, arms.candidate
    assert candidate is None or candidate.weights == weights
    return (
        arms.champion.model.version.version,
        weights.epoch if weights else None,
        candidate.model.version.version if candidate else None,
    )


def test_a_server_goes_through_the_steps_of_a_rollout_as_the_ledger_has_them(models: list[ServedModel]) -> None:
    champion, candidate = models
    scene = Scene(candidate)
    scene.slot.swap(champion)
    assert shape(scene.arms(champion)) == (1, None, None)
    scene.moves(1, RolloutPhase.STEP)
    assert shape(scene.arms(champion)) == (1, 1, None)
    assert scene.loads == []
    scene.moves(2, RolloutPhase.STEP, 1, HALF)
    arms = scene.arms(champion)
    assert shape(arms) == (1, 2, 2)
    assert arms.assignment == ASSIGNMENT
    assert scene.arms(champion) is arms
    scene.moves(3, RolloutPhase.PROMOTING, 1, ArmIntervals((CANDIDATE,), (2**32,)))
    assert shape(scene.arms(champion)) == (1, 3, 2)
    assert scene.loads == [ModelKey(NAME, 2)]
    # The registry names the candidate now, and the follower has loaded it by itself.
    scene.slot.swap(replace(candidate))
    assert shape(scene.arms(replace(candidate))) == (2, 3, None)
    scene.moves(4, RolloutPhase.PROBATION, 1)
    assert shape(scene.arms(candidate)) == (2, 4, None)
    scene.moves(5, RolloutPhase.PROMOTED, 1)
    assert shape(scene.arms(candidate)) == (2, None, None)
    assert scene.arms.latest() is not None
    scene.arms._release(float("inf"))
    assert scene.released == [candidate]


@pytest.mark.parametrize("phase", [RolloutPhase.ROLLING_BACK, RolloutPhase.ABORTED], ids=lambda phase: phase.value)
def test_a_candidate_that_is_taken_back_answers_nothing_from_the_next_pass_on(
    models: list[ServedModel], phase: RolloutPhase
) -> None:
    scene = Scene(models[1])
    scene.moves(2, RolloutPhase.STEP, 1, HALF)
    scene.moves(3, phase, 1)
    assert shape(scene.arms(models[0])) == (1, None, None)


def test_an_order_to_abort_counts_before_the_job_has_done_it(models: list[ServedModel]) -> None:
    scene = Scene(models[1])
    scene.moves(2, RolloutPhase.STEP, 1, HALF)
    order = OrderGiven(scene.declared().name, APPLICATION, RolloutOrder.ABORT, isoformat(NOW))
    scene.ledger.records.append(order.to_dict())
    scene.arms.look(0.0)
    assert shape(scene.arms(models[0])) == (1, None, None)


def test_a_version_on_hold_is_no_candidate(models: list[ServedModel]) -> None:
    scene = Scene(models[1])
    scene.moves(2, RolloutPhase.STEP, 1, HALF)
    assert shape(scene.arms(models[0])) == (1, 2, 2)
    scene.slot.hold(ModelKey(NAME, 2))
    assert shape(scene.arms(models[0])) == (1, None, None)


def test_the_last_step_stays_while_the_ledger_is_away_and_health_says_so(models: list[ServedModel]) -> None:
    scene = Scene(models[1])
    scene.moves(2, RolloutPhase.STEP, 1, HALF)
    scene.ledger.away = "nobody answers"
    with pytest.raises(BrokerUnavailableError):
        scene.arms.look(0.0)
    scene.arms._note("the ledger cannot be followed: nobody answers")
    with a_bench(models[0], rollout=scene.arms) as bench:
        health = bench.ask("GET", "/health").json()
        assert health["rollout"] == {
            "rollout": "late-2",
            "weight_epoch": 2,
            "candidate": 2,
            "problem": "the ledger cannot be followed: nobody answers",
        }
        assert bench.ask("GET", "/v1/model").json()["rollout"]["share"] == 0.25
    scene.ledger.away = ""
    scene.moves(3, RolloutPhase.ROLLED_BACK, 1)
    assert scene.arms.standing() == {"rollout": None, "weight_epoch": None, "candidate": None, "problem": None}


def test_a_candidate_that_cannot_be_loaded_has_no_keys_and_is_not_tried_at_every_look(
    models: list[ServedModel],
) -> None:
    scene = Scene(models[1], refusal=CandidateRefusedError(RefusalCode.NOT_COMPILED, "a stage has no form"))
    scene.moves(2, RolloutPhase.STEP, 1, HALF)
    scene.arms.look(0.0)
    assert shape(scene.arms(models[0])) == (1, None, None)
    assert "late/2 cannot be loaded" in scene.arms.problem
    assert len(scene.loads) == 1
    scene.refusal = None
    scene.moves(3, RolloutPhase.STEP, 1, HALF)
    assert shape(scene.arms(models[0])) == (1, 3, 2)
    assert scene.arms.problem == ""


def test_the_rollout_of_another_model_is_none_of_the_servers(models: list[ServedModel]) -> None:
    scene = Scene(models[1])
    scene.arms.source = replace(scene.arms.source, model="another")
    scene.moves(2, RolloutPhase.STEP, 1, HALF)
    assert shape(scene.arms(models[0])) == (1, None, None)


def test_a_rollout_is_not_followed_where_no_event_says_whose_it_is() -> None:
    settings = Settings(serve=ServeSettings(rollout=True), event=EventSettings(id=None))
    with pytest.raises(ConfigurationError, match=r"event\.key or event\.id"):
        require_identity(settings)
    require_identity(settings.model_copy(update={"event": EventSettings(id=None, key="carrier")}))


@dataclass(frozen=True)
class FixedArms:
    """A step that does not move."""

    champion: ServedArm
    candidate: ServedArm
    assignment: ArmAssignment = ASSIGNMENT

    def __call__(self, model: ServedModel) -> ServedArms:
        return ServedArms(self.champion, self.candidate, self.assignment)

    def standing(self) -> dict[str, Any]:
        return {}

    def latest(self) -> None:
        return None


def halves(models: list[ServedModel]) -> FixedArms:
    step = WeightEpoch("late-2", 7)
    return FixedArms(ServedArm(models[0], weights=step), ServedArm(models[1], CANDIDATE, step))


@pytest.fixture
def bench(models: list[ServedModel]) -> Iterator[ServerBench]:
    with a_bench(models[0], rollout=halves(models)) as server:
        yield server


def role_of(carrier: str) -> str:
    return ASSIGNMENT.arm_of(carrier.encode(), "")


@pytest.mark.parametrize("many", [20, 90], ids=["one by one", "in a pass over a batch"])
def test_each_event_of_a_list_is_answered_by_the_arm_of_its_key_and_in_its_order(bench: ServerBench, many: int) -> None:
    carriers = [f"C{number}" for number in range(many)]
    bodies = [event(event_id=f"e{number}", carrier=carrier) for number, carrier in enumerate(carriers)]
    answer = bench.score(bodies)
    items = answer.json()
    assert [item["event_id"] for item in items] == [f"e{number}" for number in range(many)]
    assert [item["role"] for item in items] == [*map(role_of, carriers)]
    assert {(item["role"], item["model_version"]) for item in items} == {("champion", 1), ("candidate", 2)}
    assert all(item["prediction_id"].startswith(f"late:{item['role']}:") for item in items)
    assert answer.headers["penstock-weight-epoch"] == "7"
    assert "penstock-model-version" not in answer.headers


def test_an_answer_names_role_version_and_step_in_its_headers(bench: ServerBench) -> None:
    for carrier in ("C1", "C2", "C3", "C4", "C5"):
        answer = bench.score(event(carrier=carrier))
        role, headers = role_of(carrier), answer.headers
        assert (headers["penstock-role"], headers["penstock-rollout"]) == (role, "late-2")
        assert headers["penstock-model-version"] == str(answer.json()["model_version"])
        rejected = bench.score(event(carrier=carrier, hour="late"))
        assert rejected.status_code == 422
    assert len({role_of(f"C{number}") for number in range(1, 6)}) == 2


def test_the_contracts_examples_are_the_servers_arms(models: list[ServedModel]) -> None:
    plain = [replace(model, row_pass=replace(model.row_pass, envelope=EventSettings())) for model in models]  # type: ignore[type-var]
    checked = 0
    for example in EXAMPLES:
        intervals = example["intervals"]
        arms = ArmIntervals(tuple(row["arm"] for row in intervals), tuple(row["end"] for row in intervals))
        raw = None if example["key"] is None else bytes.fromhex(example["key"])
        # A server has two arms, and JSON has no key that is not UTF-8.
        if set(arms.arms) - {"champion", "candidate"} or raw == b"\x00\xff\x80\x09\x0a":
            continue
        key = None if raw is None else raw.decode()
        served = plain if key is None else models
        fixed = replace(halves(served), assignment=ArmAssignment(example["salt"], arms))
        body = event(event_id=example["event_id"], **({} if key is None else {"carrier": key}))
        (answer,) = EventPasses("http-test", ManualClock(), fixed)(served[0])([json.dumps(body).encode()])
        assert answer.arm.role == example["arm"], example
        checked += 1
    assert checked >= 5


@given(st.lists(st.tuples(st.text(min_size=1, max_size=5), st.booleans()), min_size=1, max_size=60))
@examples(15)
def test_whatever_the_keys_every_event_has_one_answer_of_its_arm(
    models: list[ServedModel], events: list[tuple[str, bool]]
) -> None:
    score = EventPasses("http-test", ManualClock(), halves(models))(models[0])
    values = [json.dumps(event(carrier=carrier, hour=3 if good else None)).encode() for carrier, good in events]
    answers = score(values)
    assert len(answers) == len(values)
    for (carrier, good), answer in zip(events, answers, strict=True):
        assert isinstance(answer.value, Rejection) is not good
        if good:
            assert answer.arm.role == role_of(carrier)


def test_an_event_that_one_version_alone_can_read_is_of_its_arm_all_the_same(
    models: list[ServedModel], tmp_path: Path
) -> None:
    """The candidate asks for no hour any more; without one an event is good for it, and for the champion it is not."""
    signature = models[1].package.signature
    columns = tuple(
        replace(column, required=False) if column.name == "hour" else column for column in signature.columns
    )
    relaxed = loaded(
        replace(flight_package(tmp_path, 2, golden=None), signature=replace(signature, columns=columns)), KEYED
    )
    score = EventPasses("http-test", ManualClock(), halves([models[0], relaxed]))(models[0])
    carriers = [f"C{number}" for number in range(12)]
    answers = score([json.dumps(event(carrier=carrier, hour=None)).encode() for carrier in carriers])
    for carrier, answer in zip(carriers, answers, strict=True):
        assert answer.arm.role == role_of(carrier)
        if answer.arm.role == "champion":
            assert answer.value == Rejection("MISSING_FIELD", "hour")


def test_an_event_on_which_the_candidate_throws_is_rejected_by_it_and_no_other(
    models: list[ServedModel], tmp_path: Path
) -> None:
    strict = loaded(flight_package(tmp_path, 2, stages=STRICT), KEYED)
    assert isinstance(strict.row_pass, JsonRowPass)
    throwing = replace(strict, row_pass=replace(strict.row_pass, guards=()))
    carriers = [f"C{number}" for number in range(12)]
    with a_bench(models[0], rollout=halves([models[0], throwing])) as bench:
        items = bench.score([event(carrier=carrier) for carrier in carriers]).json()
    for carrier, item in zip(carriers, items, strict=True):
        if role_of(carrier) == "champion":
            assert item["role"] == "champion"
        else:
            assert item["rejected"]["reason"] == "SCORING_FAILED"
