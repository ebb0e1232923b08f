"""A server's fallback chain: who answers when the champion throws, is too slow or is not loaded, and by what mark."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.wiring.serving_chain import require_chain_servable
from streaming.adapters.kafka.served import ServedPlan
from streaming.errors import CandidateRefusedError, ConfigurationError
from streaming.models.circuits import CircuitPolicy, Circuits
from streaming.models.ref import ABSENT, DEFAULT_VERSION, ModelKey, ModelVersion
from streaming.models.seams import ArrowScorer
from streaming.models.served import ScorerChoice, ServedModel
from streaming.models.slot import Slot
from streaming.outputs.arrow_rows import enveloped_rows
from streaming.outputs.envelope import Stamp
from streaming.outputs.records import records as records_to_send
from streaming.outputs.targets import Target, Targets
from streaming.refusal_codes import RefusalCode
from streaming.scoring.default_score import DefaultScores
from streaming.scoring.row_pass import JsonRowPass
from streaming.serving.answer_rows import AnswerRows
from streaming.serving.app import serving_app
from streaming.serving.arms import Degraded, ServedArm, ServedArms
from streaming.serving.chain import THROWN_RUNNING, ServedChain
from streaming.serving.lanes import Lane
from streaming.serving.patience import NextVersions, PatientLane
from streaming.serving.stand_ins import StandIns
from streaming.settings import EventSettings, Settings
from streaming.testing import ManualClock
from tests.support.laws import examples
from tests.support.servers import STRICT, ServerBench, event, flight_package, loaded
from tests.unit.test_scoring_row_pass import records
from tests.unit.test_serving_log import MemorySink
from tests.unit.test_serving_score import fields, without_own

SCORE = {"prediction": 1.0, "label": "late", "probability": [0.25, 0.75]}
POISON = event(carrier="ZZ")
"""The strict pipeline throws on this carrier."""


@dataclass(frozen=True)
class Versions:
    """A champion that throws on :data:`POISON`, one that does not, and one that does."""

    strict: ServedModel
    lenient: ServedModel
    strict_too: ServedModel


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    folder = tmp_path_factory.mktemp("versions")
    strict, strict_too = (
        without_guards(loaded(flight_package(folder / str(number), number, stages=STRICT))) for number in (3, 1)
    )
    return Versions(strict, loaded(flight_package(folder / "2", 2)), strict_too)


def without_guards(model: ServedModel) -> ServedModel:
    """The version is asked what its guards would keep from it."""
    assert isinstance(model.row_pass, JsonRowPass)
    return replace(model, row_pass=replace(model.row_pass, guards=()))


@dataclass
class Earlier:
    """Loads one version, or says why it cannot."""

    model: ServedModel | None
    problem: Exception | None = None
    loads: int = 0
    released: list[ServedModel] = field(default_factory=list)

    def recall(self, key: ModelKey) -> ServedModel:
        model = self.earlier()
        assert model is not None
        return model

    def earlier(self) -> ServedModel | None:
        self.loads += 1
        if self.problem is not None:
            raise self.problem
        return self.model

    def release(self, model: ServedModel) -> None:
        self.released.append(model)


@dataclass
class Scene:
    """A server with a chain, and what it has heard of circuits."""

    champion: ServedModel | None
    second: ServedModel | None = None
    score: dict[str, Any] | None = None
    open_after: int = 1
    slot: Slot = field(default_factory=Slot)
    clock: ManualClock = field(default_factory=ManualClock)
    moves: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.champion is not None:
            self.slot.swap(self.champion)
        self.earlier = Earlier(self.second)
        scores, version = DefaultScores(EventSettings(), 1 << 20), ModelVersion("late", DEFAULT_VERSION)
        default = None if self.score is None else partial(scores.in_process, version, self.score)
        pinned = None if self.second is None else self.second.key
        self.stand_ins = StandIns(self.slot, self.earlier, pinned, default)
        if self.second is not None:
            self.stand_ins.look()
        circuits = Circuits(CircuitPolicy(self.open_after, 60), self.clock, self)
        self.chain = ServedChain("late", self.stand_ins, circuits)

    def circuit_moved(self, version: ModelVersion, state: str, reason: str) -> None:
        self.moves.append((version.version, state))

    @contextmanager
    def server(self, **parts: Any) -> Iterator[ServerBench]:
        with ThreadPoolExecutor(1) as thread:
            yield ServerBench(self.slot, thread, clock=self.clock, chain=self.chain, **parts)


def who(answer: dict[str, Any]) -> tuple[int, str | None]:
    """Which version an answer names, and why it stands in."""
    return answer["model_version"], answer.get("degraded")


@pytest.mark.parametrize("events", [1, 20, 300], ids=["alone", "on the loop", "in the thread"])
def test_an_event_on_which_the_champion_throws_is_answered_by_the_next_and_the_others_by_the_champion(
    versions: Versions, events: int
) -> None:
    scene = Scene(versions.strict, versions.lenient)
    with scene.server() as bench:
        answers = bench.score([event(event_id=str(at)) for at in range(events - 1)] + [POISON]).json()
    assert [who(answer) for answer in answers] == [(3, None)] * (events - 1) + [(2, "THREW")]
    assert all("degraded" not in answer for answer in answers[:-1])
    # An event has one id, whoever answers it.
    assert {answer["prediction_id"].rpartition(":")[0] for answer in answers} == {"late:champion:http-test:0"}


CHAINS = [
    pytest.param("lenient", None, (2, "THREW"), id="a fallback version"),
    pytest.param("strict_too", SCORE, (0, "THREW"), id="the default score behind one that throws, too"),
    pytest.param(None, SCORE, (0, "THREW"), id="the default score alone"),
    pytest.param("strict_too", None, None, id="nothing that could"),
    pytest.param(None, None, None, id="nothing at all"),
]


@pytest.mark.parametrize(("second", "score", "expected"), CHAINS)
def test_the_chain_goes_on_to_the_next_that_can(
    versions: Versions, second: str | None, score: dict[str, Any] | None, expected: tuple[int, str] | None
) -> None:
    scene = Scene(versions.strict, getattr(versions, second) if second else None, score)
    with scene.server() as bench:
        answer = bench.score(POISON)
        metrics = bench.ask("GET", "/metrics").text
    if expected is None:
        assert (answer.status_code, answer.json()["reason"]) == (422, "SCORING_FAILED")
        assert "penstock-degraded" not in answer.headers
        return
    assert (answer.status_code, who(answer.json())) == (200, expected)
    assert answer.headers["penstock-degraded"] == "THREW"
    assert answer.headers["penstock-model-version"] == str(expected[0])
    assert 'penstock_degraded_predictions_total{reason="THREW"} 1.0' in metrics


def test_a_degraded_answer_is_the_streams_to_the_byte(versions: Versions) -> None:
    scene, value = Scene(versions.strict, versions.lenient), json.dumps(POISON).encode()
    with scene.server() as bench:
        answer = bench.score(value)
    assert versions.lenient.row_pass is not None
    stamp = Stamp("features", versions.lenient.version, "champion", "2020", degraded="THREW", instead_of="late")
    (row,) = enveloped_rows(versions.lenient.row_pass.score(records(value)), [stamp]).to_pylist()
    assert without_own(fields(answer.content)) == without_own(fields(row["value"]))


def test_what_is_wrong_with_an_event_itself_is_no_ones_to_answer(versions: Versions) -> None:
    with Scene(versions.strict, versions.lenient, SCORE).server() as bench:
        answers = bench.score([event(hour=None), 7, POISON]).json()
    assert [answer.get("rejected", {}).get("reason") for answer in answers] == ["MISSING_FIELD", "NOT_AN_OBJECT", None]


NOT_LOADED = [
    pytest.param("lenient", None, (2, "NOT_LOADED"), id="a fallback version"),
    pytest.param(None, SCORE, (0, "NOT_LOADED"), id="the default score"),
]


@pytest.mark.parametrize(("second", "score", "expected"), NOT_LOADED)
def test_without_a_champion_the_chain_answers_until_it_is_loaded(
    versions: Versions, second: str | None, score: dict[str, Any] | None, expected: tuple[int, str]
) -> None:
    scene = Scene(None, getattr(versions, second) if second else None, score)
    with scene.server() as bench:
        assert bench.ask("GET", "/ready").status_code == 200
        answer = bench.score(event())
        assert (answer.status_code, who(answer.json())) == (200, expected)
        assert answer.json()["prediction_id"].startswith("late:champion:http-test:0:")
        wrong = bench.score(b"{")
        assert (wrong.status_code, wrong.json()["reason"]) == (422, "MALFORMED_JSON")
        scene.slot.swap(versions.strict)
        assert who(bench.score(event()).json()) == (3, None)


def test_without_a_champion_and_a_chain_that_can_answer_the_server_is_not_ready() -> None:
    with Scene(None).server() as bench:
        assert bench.ask("GET", "/ready").status_code == 503
        assert bench.score(event()).status_code == 503


def test_a_version_that_throws_on_everything_is_asked_no_more_until_its_pause_is_over(versions: Versions) -> None:
    scene = Scene(versions.strict, versions.lenient, open_after=2)
    with scene.server() as bench:
        for _ in range(2 * THROWN_RUNNING - 1):
            assert who(bench.score(POISON).json()) == (2, "THREW")
        assert who(bench.score(event()).json()) == (3, None), "an answer between them begins the count anew"
        for _ in range(2 * THROWN_RUNNING):
            bench.score(POISON)
        assert scene.moves == [(3, "open")]
        assert who(bench.score(event()).json()) == (2, "THREW")
        health = bench.ask("GET", "/health").json()["fallback"]
        circuits = {"late/3": "open", "late/2": "closed"}
        assert health == {"answers": "late/2", "circuits": circuits, "problem": None}
        scene.clock.advance(61)
        assert who(bench.score(POISON).json()) == (2, "THREW"), "one failure opens a half-open circuit again"
        assert who(bench.score(event()).json()) == (2, "THREW")
        scene.clock.advance(61)
        assert who(bench.score(event()).json()) == (3, None)
    assert scene.moves == [(3, "open"), (3, "half_open"), (3, "open"), (3, "half_open"), (3, "closed")]


@given(st.lists(st.booleans(), min_size=1, max_size=60))
@examples(30)
def test_every_event_has_an_answer_by_whom_its_mark_says(versions: Versions, poisoned: list[bool]) -> None:
    scene = Scene(versions.strict, versions.lenient, SCORE)
    bodies = [event(event_id=str(at), carrier="ZZ" if is_poison else "UA") for at, is_poison in enumerate(poisoned)]
    with scene.server() as bench:
        answers = bench.score(bodies).json()
    assert [answer["event_id"] for answer in answers] == [str(at) for at in range(len(bodies))]
    for answer, is_poison in zip(answers, poisoned, strict=True):
        assert who(answer) == ((2, "THREW") if is_poison else (3, None))


@dataclass(frozen=True)
class Stalling:
    """A scorer that answers once a gate is open."""

    scorer: ArrowScorer
    gate: threading.Event

    def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
        assert self.gate.wait(30)
        return self.scorer.score(events)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Closed until the test opens it."""
    gate = threading.Event()
    yield gate
    gate.set()


def stalling(model: ServedModel, gate: threading.Event) -> ServedModel:
    """The version in a process of its own, as far as the server knows."""
    row_pass = model.row_pass
    assert isinstance(row_pass, JsonRowPass)
    slow = replace(row_pass, scorer=Stalling(row_pass.scorer, gate), program=None)
    return replace(model, row_pass=slow, choice=ScorerChoice("pyfunc", "its own code"))


@contextmanager
def bounded(scene: Scene, seconds: float) -> Iterator[ServerBench]:
    """The scene's server, whose champion has so long for a request."""
    with scene.server() as bench, ThreadPoolExecutor(1) as other:
        lane = bench.service.events
        assert isinstance(lane, Lane)
        behind = Lane(NextVersions(scene.chain), bench.passes, other, 2.0)
        yield with_events(bench, PatientLane(lane, behind, scene.chain, seconds))


def with_events(bench: ServerBench, lane: PatientLane) -> ServerBench:
    bench.service = replace(bench.service, events=lane)
    bench.app = serving_app(bench.service)
    return bench


def test_a_champion_that_is_too_slow_is_given_up_and_asked_again_after_its_pause(
    versions: Versions, gate: threading.Event
) -> None:
    scene = Scene(stalling(versions.strict, gate), versions.lenient, open_after=1)

    async def asked(bench: ServerBench) -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(bench.app), base_url="http://server") as client:
            at_once = await asyncio.gather(*(client.post("/v1/score", json=event()) for _ in range(5)))
            assert [who(answer.json()) for answer in at_once] == [(2, "TOO_SLOW")] * 5
            assert {answer.headers["penstock-degraded"] for answer in at_once} == {"TOO_SLOW"}
            assert scene.moves == [(3, "open")], "requests that wait for one pass are one failure"
            assert who((await client.post("/v1/score", json=event())).json()) == (2, "TOO_SLOW")
            gate.set()
            while not lane_is_free(bench):
                await asyncio.sleep(0.01)
            assert scene.moves == [(3, "open")], "an answer that comes too late closes nothing"
            scene.clock.advance(61)
            assert who((await client.post("/v1/score", json=event())).json()) == (3, None)

    with bounded(scene, 0.05) as bench:
        asyncio.run(asyncio.wait_for(asked(bench), 30))
        assert 'penstock_degraded_predictions_total{reason="TOO_SLOW"} 6.0' in bench.ask("GET", "/metrics").text
    assert scene.moves == [(3, "open"), (3, "half_open"), (3, "closed")]


def lane_is_free(bench: ServerBench) -> bool:
    """Return whether the lane has no pass of the champion's under way beside the loop."""
    lane = bench.service.events
    assert isinstance(lane, PatientLane)
    return not lane.lane._is_behind


def test_without_anything_behind_it_a_slow_champion_has_its_whole_time(
    versions: Versions, gate: threading.Event
) -> None:
    scene = Scene(stalling(versions.strict, gate))
    threading.Timer(0.2, gate.set).start()
    with bounded(scene, 0.05) as bench:
        assert who(bench.score(event()).json()) == (3, None)


def test_the_arms_of_a_rollout_are_those_of_the_champion_alone(versions: Versions) -> None:
    scene, halves = Scene(versions.strict, versions.lenient), ServedArms(ServedArm(versions.strict))
    scene.chain.beside = lambda model: halves
    assert scene.chain(versions.strict) is halves
    degraded = scene.chain(versions.lenient).champion
    assert degraded.degraded == Degraded("TOO_SLOW", versions.strict.version)
    assert scene.chain(versions.lenient).champion is degraded, "the same object as long as nothing changes"


def test_a_logged_answer_of_the_chain_has_the_header_of_the_stream(versions: Versions) -> None:
    scene, sinks = Scene(versions.strict, versions.lenient), list[MemorySink]()

    def opened(_: Any, metrics: Any) -> MemorySink:
        sinks.append(MemorySink(metrics))
        return sinks[-1]

    with scene.server(sink=opened) as bench:
        assert bench.log is not None
        bench.log.start()
        bench.score(POISON)
        bench.log.stop(5.0)
        target = Target("served", 1, 1 << 20)
        (stamped,) = AnswerRows("http-test", bench.passes.numbers, target).of(sinks[0].requests)
    plan = ServedPlan("late-serve", Targets(target, target, target), stamped.stamp)
    (record,) = records_to_send(stamped.rows, 0, plan, 0, 0)
    headers = dict(record[5])
    assert headers["penstock-degraded"] in ("THREW", b"THREW")


REFUSED = CandidateRefusedError(RefusalCode.NOT_COMPILED, "a stage")


@pytest.mark.parametrize("problem", [REFUSED, RuntimeError("a surprise")], ids=["refused", "a surprise"])
def test_a_fallback_version_that_cannot_be_loaded_is_tried_again_and_said_so(
    versions: Versions, problem: Exception
) -> None:
    earlier = Earlier(versions.lenient, problem)
    stand_ins = StandIns(Slot(), earlier, versions.lenient.key, None)
    stand_ins.start()
    stand_ins.wait(60)
    assert list(stand_ins.following(None)) == []
    assert stand_ins.problem
    earlier.problem = None
    stand_ins.look()
    stand_ins.look()
    assert (earlier.loads, stand_ins.problem) == (2, "")
    assert list(stand_ins.following(None)) == [versions.lenient]
    stand_ins.stop()
    assert earlier.released == [versions.lenient]


def test_without_a_pinned_version_the_one_that_served_before_follows(versions: Versions) -> None:
    slot, earlier = Slot(), Earlier(None)
    slot.swap(versions.strict_too)
    with slot.lease():
        pass
    slot.swap(versions.strict)
    stand_ins = StandIns(slot, earlier, None, None)
    stand_ins.look()
    assert earlier.loads == 0
    assert list(stand_ins.following(versions.strict)) == [versions.strict_too]


def test_the_absent_champion_is_named_by_its_number(versions: Versions) -> None:
    chain = Scene(None, versions.lenient).chain
    assert chain(versions.lenient).champion.degraded == Degraded("NOT_LOADED", ModelVersion("late", ABSENT))


def test_a_bound_that_comes_too_late_is_refused() -> None:
    settings = {"fallback": {"enabled": True, "request_seconds": 2.0}, "serve": {"timeout_seconds": 2.0}}
    with pytest.raises(ConfigurationError, match=r"fallback\.request_seconds is 2"):
        require_chain_servable(Settings.model_validate(settings))
