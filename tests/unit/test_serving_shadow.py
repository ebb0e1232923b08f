"""A rollout's other version scores a request's events after the answer: pairs, counts, and that nobody waits."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.shadow_prediction import ShadowPrediction, ShadowRole
from streaming.errors import BrokerUnavailableError, RegistryUnavailableError
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE
from streaming.serving.answer_log import AnswerLog
from streaming.serving.app import serving_app
from streaming.serving.arms import ServedArm, ServedArms
from streaming.serving.shadow_answers import PairCounter, RequestEvents, ShadowAnswers
from streaming.serving.shadow_counts import ShadowCounts
from streaming.settings import EventSettings, ServeSettings
from streaming.shadow.pairing import PairingRules
from streaming.shadow.rounds import PairedRecord, ShadowRounds
from streaming.shadow.scoring import InputEvent, ShadowScorer
from streaming.shadow.versions import ShadowVersions
from tests.support.eventually import eventually
from tests.support.servers import BOUNDED, ServerBench, a_bench, event, flight_package, loaded
from tests.support.shadows import APPLICATION, NAME, NOW, transitions

KEYED = EventSettings(key="carrier")
HALF = ArmAssignment("late-2", ALL_CHAMPION.changed_to({CANDIDATE: 0.5}))
CHAMPIONS, CANDIDATES = (
    next(name for name in (f"C{n}" for n in range(99)) if (HALF.arm_of(None, name) == CANDIDATE) is is_candidate)
    for is_candidate in (False, True)
)
"""Carriers of either arm."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[ModelKey, ServedModel]:
    """The champion, and a candidate that throws on temperatures above 100."""
    folder = tmp_path_factory.mktemp("models")
    made = (
        loaded(flight_package(folder / "1", 1), KEYED),
        loaded(flight_package(folder / "2", 2, stages=BOUNDED), KEYED),
    )
    return {model.key: model for model in made}


@dataclass
class MemoryPairs:
    """Implements ``PairSender``; what it has is there at once."""

    counts: ShadowCounts
    records: list[PairedRecord] = field(default_factory=list)
    too_large: str = ""
    fails_after: int | None = None
    gate: threading.Event | None = None

    def send(self, record: PairedRecord) -> bool:
        if self.gate is not None:
            self.gate.wait(30)
        if self.fails_after == len(self.records):
            raise BrokerUnavailableError("it is away")
        if record.pair.event_id == self.too_large:
            return False
        self.records.append(record)
        self.counts.answers_logged("written", 1)
        return True

    def look(self) -> bool:
        return bool(self.records)

    def close(self, seconds: float) -> None:
        """Hold nothing open."""


@dataclass
class Backstage:
    """A server in a step of a rollout, and the shadow behind its answers."""

    bench: ServerBench
    counts: ShadowCounts
    pairs: MemoryPairs

    @property
    def written(self) -> list[ShadowPrediction]:
        return [record.pair for record in self.pairs.records]

    def settles(self, **counts: int) -> None:
        eventually(lambda: {name: n for name, n in self.counts.logged().items() if n} == counts)


@dataclass(frozen=True)
class SteadyArms:
    """A step that does not move; ``None`` for a server that takes part in none."""

    models: dict[ModelKey, ServedModel]
    epoch: int | None = 2

    def __call__(self, model: ServedModel) -> ServedArms:
        step = None if self.epoch is None else WeightEpoch("late-2", self.epoch)
        champion = ServedArm(self.models[ModelKey(NAME, 1)], weights=step)
        # The first step has a share of 0.
        if self.epoch != 2:
            return ServedArms(champion)
        return ServedArms(champion, ServedArm(self.models[ModelKey(NAME, 2)], CANDIDATE, step), HALF)


@contextmanager
def backstage(
    models: dict[ModelKey, ServedModel],
    epoch: int | None = 2,
    rules: PairingRules | None = None,
    load: Callable[[ModelKey], ServedModel] | None = None,
    **parts: Any,
) -> Iterator[Backstage]:
    limits = parts.pop("limits", ServeSettings())
    with a_bench(models[ModelKey(NAME, 1)], settings=limits) as bench:
        bench.passes.arms = SteadyArms(models, epoch)
        counts = ShadowCounts(bench.metrics.registry)
        pairs = MemoryPairs(counts, **parts)

        def opened() -> ShadowAnswers:
            events, counter = RequestEvents(), PairCounter(pairs, counts)
            rounds = ShadowRounds(
                application=APPLICATION,
                topic=bench.passes.source,
                rules=rules or PairingRules(),
                ledger=transitions,
                versions=ShadowVersions(load or models.__getitem__, lambda _: None),
                events=events,
                sink=counter,
                observer=counter,
                clock=lambda: NOW,
            )
            return ShadowAnswers(
                rounds=rounds, events=events, counter=counter, envelope=KEYED, numbers=itertools.count(1_000)
            )

        log = AnswerLog(opened, counts, limits.log_max_bytes, name="shadow")
        bench.service = replace(bench.service, shadow=log)
        bench.app = serving_app(bench.service)
        log.start()
        try:
            yield Backstage(bench, counts, pairs)
        finally:
            if pairs.gate is not None:
                pairs.gate.set()
            log.stop(10.0)


def flights(*carriers: str, **changes: Any) -> list[dict[str, Any]]:
    return [event(event_id=f"e{n}", carrier=carrier, **changes) for n, carrier in enumerate(carriers)]


def direct(model: ServedModel, sent: dict[str, Any]) -> Any:
    (answer,) = ShadowScorer(model).answers([InputEvent(0, 0, 0, None, json.dumps(sent).encode())])
    return answer


def test_each_event_is_scored_by_the_version_that_did_not_answer_it_and_the_pair_has_both(
    models: dict[ModelKey, ServedModel],
) -> None:
    champion, candidate = models.values()
    with backstage(models) as scene:
        sent = flights(CHAMPIONS, CANDIDATES)
        answers = scene.bench.score(sent).json()
        assert scene.bench.score(flights(CHAMPIONS)[0]).status_code == 200
        scene.settles(written=3)
        first, second, _ = scene.written
        assert [pair.role for pair in scene.written[:2]] == [ShadowRole.SHADOW, ShadowRole.REVERSE_SHADOW]
        for pair, answer in ((first, answers[0]), (second, answers[1])):
            assert pair.prediction_id == answer["prediction_id"]
            assert (pair.served.version, pair.served.prediction) == (answer["model_version"], answer["prediction"])
            assert (pair.rollout, pair.weight_epoch, pair.event_id) == ("late-2", 2, answer["event_id"])
        assert (first.shadow, second.shadow) == (direct(candidate, sent[0]), direct(champion, sent[1]))
        assert [record.key for record in scene.pairs.records[:2]] == [CHAMPIONS.encode(), CANDIDATES.encode()]
        health = scene.bench.ask("GET", "/health").json()
        assert health["shadow"] == {
            "written": 3,
            "skipped": 0,
            "dropped": 0,
            "failed": 0,
            "waiting_bytes": 0,
            "problem": None,
        }
        assert 'penstock_shadowed_answers_total{outcome="written"} 3.0' in scene.bench.ask("GET", "/metrics").text


def test_in_a_step_without_a_share_the_candidate_scores_every_event(models: dict[ModelKey, ServedModel]) -> None:
    with backstage(models, epoch=1) as scene:
        scene.bench.score(flights(CHAMPIONS, CANDIDATES))
        scene.settles(written=2)
        assert {(pair.served.version, pair.shadow.version) for pair in scene.written} == {(1, 2)}


def test_without_a_step_nothing_waits(models: dict[ModelKey, ServedModel]) -> None:
    with backstage(models, epoch=None) as scene:
        scene.bench.score(flights(CHAMPIONS))
        scene.bench.score([])
        assert scene.bench.service.shadow is not None
        assert scene.bench.service.shadow.waiting_bytes == 0
        scene.settles()


@pytest.mark.parametrize(
    ("sent", "reasons"),
    [
        pytest.param(flights(CHAMPIONS, temp=200.0), (None, "SCORING_FAILED"), id="the candidate throws in the shadow"),
        pytest.param(flights(CANDIDATES, temp=200.0), ("SCORING_FAILED", None), id="the candidate threw"),
        pytest.param(flights(CANDIDATES, hour="x"), ("WRONG_TYPE", "WRONG_TYPE"), id="both reject the event"),
    ],
)
def test_what_an_event_is_rejected_for_is_an_answer(
    models: dict[ModelKey, ServedModel], sent: list[dict[str, Any]], reasons: tuple[str | None, str | None]
) -> None:
    with backstage(models) as scene:
        scene.bench.score(sent)
        scene.settles(written=1)
        (pair,) = scene.written
        assert (pair.served.reason, pair.shadow.reason) == reasons
        assert pair.event_id == "e0"


@pytest.mark.parametrize(
    ("sent", "changes", "counts"),
    [
        pytest.param(flights(CHAMPIONS), {"rules": PairingRules(share=0.0)}, {"skipped": 1}, id="outside the share"),
        pytest.param([{"no": "event"}], {}, {"skipped": 1}, id="what no version can read"),
        pytest.param(flights(CHAMPIONS, CHAMPIONS), {"too_large": "e0"}, {"skipped": 1, "written": 1}, id="too large"),
    ],
)
def test_an_answer_without_a_pair_is_counted(
    models: dict[ModelKey, ServedModel], sent: list[dict[str, Any]], changes: dict[str, Any], counts: dict[str, int]
) -> None:
    with backstage(models, **changes) as scene:
        scene.bench.score(sent)
        scene.settles(**counts)


def test_answers_that_could_not_be_paired_are_counted_each_once_and_the_next_ones_are(
    models: dict[ModelKey, ServedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.serving.answer_log._RETRY_SECONDS", 0.01)
    with backstage(models, fails_after=1) as scene:
        scene.bench.score(flights(CHAMPIONS, CHAMPIONS, CHAMPIONS))
        scene.settles(written=1, failed=2)
        scene.pairs.fails_after = None
        scene.bench.score(flights(CHAMPIONS))
        scene.settles(written=2, failed=2)


def test_a_registry_that_is_away_costs_pairs_and_no_answer(models: dict[ModelKey, ServedModel]) -> None:
    def away(key: ModelKey) -> ServedModel:
        raise RegistryUnavailableError("the registry is silent")

    with backstage(models, load=away) as scene:
        assert scene.bench.score(flights(CHAMPIONS)).status_code == 200
        scene.settles(failed=1)
        eventually(lambda: scene.bench.ask("GET", "/health").json()["shadow"]["problem"] == "the registry is silent")


def test_a_shadow_that_hangs_keeps_nobody_waiting_and_what_does_not_fit_is_counted(
    models: dict[ModelKey, ServedModel],
) -> None:
    gate = threading.Event()
    with backstage(models, gate=gate, limits=ServeSettings(log_max_bytes=10_000)) as scene:
        codes = {scene.bench.score(flights(CHAMPIONS)).status_code for _ in range(40)}
        assert codes == {200}
        dropped = scene.counts.logged()["dropped"]
        assert 20 <= dropped < 40
        gate.set()
        scene.settles(dropped=dropped, written=40 - dropped)


def test_a_shadow_without_a_rollout_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"serve\.shadow needs serve\.rollout: true"):
        ServeSettings(shadow=True)
    assert ServeSettings(shadow=True, rollout=True).shadow
