"""Each answer of a step with two versions is paired once, wherever a shadow is killed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from schemas.shadow_prediction import ShadowRole
from streaming.clock import isoformat
from streaming.errors import CandidateRefusedError, RegistryUnavailableError
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.refusal_codes import RefusalCode
from streaming.shadow.pairing import PairingRules, SkipReason
from streaming.shadow.rounds import ServedChunk, ShadowRounds
from streaming.shadow.scoring import InputEvent, ShadowScorer
from streaming.shadow.served import ServedReader
from streaming.shadow.steps import RolloutSteps
from streaming.shadow.versions import ShadowVersions
from tests.support.laws import examples
from tests.support.servers import BOUNDED, event, flight_package, loaded
from tests.support.shadows import APPLICATION, NAME, NOW, TOPIC, Answered, Memory, Stored, transitions

ONE, TWO = ModelKey(NAME, 1), ModelKey(NAME, 2)
OUT = ("predictions", 0)
Models = dict[ModelKey, ServedModel]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The champion, and a candidate that throws on temperatures above 100."""
    folder = tmp_path_factory.mktemp("models")
    return {
        ONE: loaded(flight_package(folder / "1", 1)),
        TWO: loaded(flight_package(folder / "2", 2, stages=BOUNDED)),
    }


def there(partition: int, offset: int, **changes: Any) -> InputEvent:
    value = json.dumps(event(event_id=f"e{partition}-{offset}", **changes)).encode()
    return InputEvent(partition, offset, 0, None, value)


def rounds(memory: Memory, models: Models, rules: PairingRules | None = None) -> ShadowRounds:
    return ShadowRounds(
        application=APPLICATION,
        topic=TOPIC,
        rules=rules or PairingRules(),
        ledger=memory.records,
        versions=ShadowVersions(models.__getitem__, lambda model: None),
        events=memory,
        sink=memory,
        observer=memory,
        clock=lambda: NOW,
    )


def chunk(*answered: Answered) -> ServedChunk:
    return ServedChunk([each.served() for each in answered], {OUT: len(answered)})


DEAD: Stored = (b"k", [("penstock-reason", b"UNSEEN_CATEGORY")], b"{")
"""A dead letter of no rollout: it has no header that names one."""
STRANGE: Stored = (None, [("penstock-rollout", b"late-2"), ("ce_source", b"/penstock/app/late")], b"\xff")
"""Names a rollout and nothing else."""
outputs = st.one_of(
    st.builds(
        Answered,
        partition=st.integers(0, 1),
        offset=st.just(0),
        version=st.sampled_from([1, 2]),
        epoch=st.sampled_from([None, 1, 2, 3, 4]),
        role=st.sampled_from(["champion", "candidate"]),
        application=st.sampled_from([APPLICATION, APPLICATION, "another"]),
        reason=st.sampled_from(["", "", "UNSEEN_CATEGORY", "SCORING_FAILED"]),
    ),
    st.sampled_from([DEAD, STRANGE]),
)


@examples(40)
@given(
    drawn=st.lists(st.tuples(outputs, st.integers(1, 3)), max_size=25),
    cuts=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["committed", "killed", "restarted"])), min_size=1),
)
def test_every_answer_of_a_rollout_is_paired_once(
    models: Models, drawn: list[tuple[Answered | Stored, int]], cuts: list[tuple[int, str]]
) -> None:
    memory, log, offset = Memory(), [], 0
    for output, gap in drawn:
        offset += gap
        answered = replace(output, offset=offset) if isinstance(output, Answered) else output
        if isinstance(answered, Answered):
            memory.events_there[answered.partition, offset] = there(answered.partition, offset)
        log.append(answered)
    reader, shadow, turn = ServedReader(APPLICATION), rounds(memory, models), 0
    while memory.positions.get(OUT, 0) < len(log):
        length, fate = cuts[turn % len(cuts)] if turn < 40 else (9, "committed")
        start = memory.positions.get(OUT, 0)
        stored = [each.stored() if isinstance(each, Answered) else each for each in log[start : start + length]]
        read = [served for served in (reader.read(*each) for each in stored) if served]
        memory.fails, turn = fate == "killed", turn + 1
        try:
            shadow.take(ServedChunk(read, {OUT: start + len(stored)}))
        except ConnectionError:
            fate = "restarted"
        if fate == "restarted":
            shadow = rounds(memory, models)
    ours = [
        each
        for each in log
        if isinstance(each, Answered) and each.epoch is not None and each.application == APPLICATION
    ]
    assert [pair.prediction_id for pair in memory.pairs] == [each.prediction_id for each in ours]
    assert len({pair.shadow_id for pair in memory.pairs}) == len(ours)
    for pair in memory.pairs:
        assert {pair.served.version, pair.shadow.version} == {1, 2}
        assert (pair.role is ShadowRole.SHADOW) is (pair.shadow.version == 2)


def test_a_pair_has_both_answers_and_what_the_event_is(models: Models) -> None:
    memory = Memory({(1, 7): there(1, 7, hour=3, temp=5.5)})
    assert rounds(memory, models).take(chunk(Answered(1, 7, epoch=2, key=b"k"))) == 1
    (pair,) = memory.pairs
    assert (pair.event_id, pair.rollout, pair.weight_epoch, pair.role) == ("e1-7", "late-2", 2, ShadowRole.SHADOW)
    assert (pair.served.version, pair.served.prediction, pair.served.probability) == (1, 1.0, (0.25, 0.75))
    (direct,) = ShadowScorer(models[TWO]).answers([there(1, 7, hour=3, temp=5.5)])
    assert pair.shadow == direct
    assert direct.probability is not None
    assert direct.label in ("late", "on time")
    assert sum(map(float, filter(None, direct.probability))) == pytest.approx(1)


def test_an_event_that_the_shadow_throws_on_or_rejects_is_a_pair_with_the_reason_and_stops_nothing(
    models: Models,
) -> None:
    events = [there(0, 0), there(0, 1, temp=200.0), there(0, 2), InputEvent(0, 3, 0, None, b"{"), there(0, 4)]
    memory = Memory({(each.partition, each.offset): each for each in events})
    rounds(memory, models).take(chunk(*(Answered(0, offset, epoch=1) for offset in range(5))))
    reasons = [pair.shadow.reason for pair in memory.pairs]
    assert reasons == [None, "SCORING_FAILED", None, "MALFORMED_JSON", None]
    threw, rejected = memory.pairs[1].shadow, memory.pairs[3].shadow
    assert "Bucketizer" in (threw.error or "")
    assert (threw.prediction, rejected.error) == (None, None)


def test_a_round_in_which_every_event_is_rejected_is_paired_like_any_other(models: Models) -> None:
    memory = Memory({(0, offset): there(0, offset, hour="x") for offset in range(2)})
    assert rounds(memory, models).take(chunk(*(Answered(0, offset, epoch=1) for offset in range(2)))) == 2
    assert [(pair.shadow.reason, pair.shadow.field) for pair in memory.pairs] == [("WRONG_TYPE", "hour")] * 2


def test_what_a_library_throws_is_an_answer_too(models: Models) -> None:
    class Broken:
        def score(self, _: Any) -> Any:
            raise MemoryError("too much")

    model = models[TWO]
    broken = replace(model, row_pass=replace(model.row_pass, scorer=Broken()))  # type: ignore[type-var]
    memory = Memory({(0, 0): there(0, 0)})
    rounds(memory, {TWO: broken}).take(chunk(Answered(0, 0, epoch=1)))
    assert memory.pairs[0].shadow.error == "MemoryError: too much"


def test_a_dead_letter_of_the_version_that_serves_is_paired_too(models: Models) -> None:
    memory = Memory({(0, 0): there(0, 0), (0, 1): there(0, 1)})
    letters = (
        Answered(0, 0, 2, 2, "candidate", reason="SCORING_FAILED"),
        Answered(0, 1, 1, 2, reason="UNSEEN_CATEGORY"),
    )
    rounds(memory, models).take(chunk(*letters))
    reverse, shadow = memory.pairs
    assert (reverse.prediction_id, reverse.role) == ("late:candidate:features:0:0", ShadowRole.REVERSE_SHADOW)
    assert (reverse.served.reason, reverse.served.prediction, reverse.shadow.reason) == ("SCORING_FAILED", None, None)
    assert (shadow.served.reason, shadow.served.field, shadow.event_id) == ("UNSEEN_CATEGORY", "carrier", "e0-1")
    assert shadow.shadow.prediction is not None


LETTER = Answered(0, 0, 1, 2, reason="UNSEEN_CATEGORY")


@pytest.mark.parametrize(
    "letter",
    [
        pytest.param(replace(LETTER, reason="MALFORMED_JSON"), id="no version can read it"),
        pytest.param(replace(LETTER, reason="NO_KEY"), id="the topic does not take it"),
        pytest.param(replace(LETTER, epoch=None), id="of no rollout"),
        pytest.param(replace(LETTER, application="another"), id="of another application"),
        pytest.param(replace(LETTER, fields={"event_id": 7}), id="its id is no text"),
    ],
)
def test_a_dead_letter_that_says_nothing_of_a_version_is_passed_over(letter: Answered) -> None:
    assert ServedReader(APPLICATION).read(*letter.stored()) is None


TOO_DEEP = b'{"event_id":"e","nested":%b}' % (b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(TOO_DEEP, id="nested too deeply"),
        pytest.param(b'{"event_id":"e"}', id="an id alone"),
    ],
)
@pytest.mark.parametrize("answered", [Answered(0, 0, epoch=1), LETTER], ids=["prediction", "dead letter"])
def test_a_value_that_is_not_what_it_should_be_is_passed_over(answered: Answered, value: bytes) -> None:
    key, made, _ = answered.stored()
    read = ServedReader(APPLICATION).read(key, made, value)
    assert (read is not None) is (answered is LETTER and value == b'{"event_id":"e"}')


def test_events_without_an_id_have_their_position() -> None:
    read = ServedReader(APPLICATION, None).read(*replace(LETTER, offset=7).stored())
    assert read is not None
    assert read.fields.event_id == "0-7"


OLD = Answered(0, 0, epoch=1, scored_at=NOW - timedelta(minutes=10))
SKIPS = [
    pytest.param(Memory(), OLD, PairingRules(max_lag=timedelta(minutes=5)), SkipReason.LAG, id="too old"),
    pytest.param(Memory(), Answered(0, 0, epoch=9), None, SkipReason.STEP_UNKNOWN, id="of a step that is not known"),
    pytest.param(
        Memory(ledger=transitions(champion=None)),
        Answered(0, 0, version=2, epoch=2),
        None,
        SkipReason.STEP_UNKNOWN,
        id="without a champion",
    ),
    pytest.param(Memory({}), Answered(0, 0, epoch=1), None, SkipReason.EVENT_GONE, id="its event was deleted"),
    pytest.param(Memory(), Answered(0, 0, epoch=1, topic="t"), None, SkipReason.EVENT_GONE, id="of another topic"),
    pytest.param(Memory(), Answered(0, 0, epoch=1), PairingRules(share=1e-12), SkipReason.SHARE, id="not of the share"),
]


@pytest.mark.parametrize(("memory", "answered", "rules", "reason"), SKIPS)
def test_a_prediction_that_has_no_pair_is_counted_and_passed(
    models: Models, memory: Memory, answered: Answered, rules: PairingRules | None, reason: SkipReason
) -> None:
    if reason is not SkipReason.EVENT_GONE:
        memory.events_there = {(0, 0): there(0, 0)}
    shadow = rounds(memory, models, rules)
    assert shadow.take(chunk(answered)) == 0
    assert (memory.pairs, memory.skips, memory.positions) == ([], {reason: 1}, {OUT: 1})


def test_a_step_that_is_not_known_is_looked_for_once(models: Models) -> None:
    memory = Memory({(0, 0): there(0, 0)})
    shadow = rounds(memory, models)
    for _ in range(3):
        shadow.take(chunk(Answered(0, 0, epoch=9), Answered(0, 0, epoch=1)))
    assert memory.looks == 1
    assert memory.skips == {SkipReason.STEP_UNKNOWN: 3}


def test_the_share_is_the_same_keys_always_and_bounds_the_candidate_alone() -> None:
    rules, steps = PairingRules(share=0.25), RolloutSteps(APPLICATION)
    for record in transitions():
        steps.add(record)
    versions = steps.of(Answered(0, 0, epoch=1).served().step)

    def chosen(version: int, epoch: int) -> set[int]:
        tasks = {
            n: rules.task(Answered(0, n, version, epoch, key=b"k%d" % n).served(), versions, NOW) for n in range(2_000)
        }
        return {number for number, task in tasks.items() if not isinstance(task, SkipReason)}

    assert chosen(1, 1) == chosen(1, 2)
    assert 0.2 < len(chosen(1, 1)) / 2_000 < 0.3
    assert len(chosen(2, 2)) == 2_000, "what the candidate answers is always scored by the champion"


def refuse(key: ModelKey) -> ServedModel:
    raise CandidateRefusedError(RefusalCode.NOT_COMPILED, f"{key}: Foo_1 (Foo) has no compiled form")


def test_a_version_that_is_refused_is_said_once_and_the_others_go_on(models: Models) -> None:
    def load(key: ModelKey) -> ServedModel:
        return refuse(key) if key == TWO else models[key]

    memory = Memory({(0, 0): there(0, 0)})
    shadow = replace(rounds(memory, models), versions=ShadowVersions(load, lambda model: None))
    with capture_logs() as logs:
        for _ in range(3):
            shadow.take(chunk(Answered(0, 0, epoch=2), Answered(0, 0, version=2, epoch=2)))
    assert memory.skips == {SkipReason.VERSION_REFUSED: 3}
    assert [pair.role for pair in memory.pairs] == [ShadowRole.REVERSE_SHADOW] * 3
    assert [log["event"] for log in logs if log["log_level"] == "error"] == ["shadow_version_refused"]
    assert "has no compiled form" in shadow.versions.refused[TWO]


def test_a_registry_that_is_silent_leaves_the_chunk_to_be_read_again(models: Models) -> None:
    def silent(key: ModelKey) -> ServedModel:
        raise RegistryUnavailableError("no answer")

    memory = Memory({(0, 0): there(0, 0)})
    shadow = replace(rounds(memory, models), versions=ShadowVersions(silent, lambda model: None))
    with pytest.raises(RegistryUnavailableError):
        shadow.take(chunk(Answered(0, 0, epoch=1)))
    assert (memory.pairs, memory.positions) == ([], {})


@pytest.mark.parametrize(("asked", "released"), [([1, 2, 1, 2], []), ([1, 2, 1, 3], [2]), ([1, 2, 3, 1], [1, 2])])
def test_the_two_versions_that_were_used_last_stay_loaded(
    models: Models, asked: list[int], released: list[int]
) -> None:
    gone: list[int] = []

    def load(key: ModelKey) -> ServedModel:
        package = models[ONE].package
        return replace(models[ONE], package=replace(package, version=replace(package.version, version=key.version)))

    versions = ShadowVersions(load, lambda model: gone.append(model.version.version))
    for version in asked:
        assert versions.scorer(ModelKey(NAME, version)) is not None
    assert gone == released
    versions.close()
    assert len(gone) == len(released) + 2


def test_numbers_that_are_not_finite_are_none_and_the_age_is_told(models: Models) -> None:
    memory = Memory({(0, 0): there(0, 0)})
    served = {"probability": ["NaN", 0.5], "confidence": "NaN", "scored_at": isoformat(NOW - timedelta(seconds=4))}
    rounds(memory, models).take(chunk(Answered(0, 0, epoch=1, fields=served)))
    assert memory.pairs[0].served.probability == (None, 0.5)
    assert memory.pairs[0].served.confidence is None
    assert memory.lags == [4.0]
