"""The fallback chain: who answers in whose place, for whole batches and for rows, and how circuits steer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.prediction import DegradedReason
from streaming.engines.chain import FallbackChain, NoChain
from streaming.ledger.arms import PlannedArms
from streaming.ledger.degraded import DegradedPart
from streaming.ledger.plan import Plan
from streaming.models.circuits import CircuitPolicy, Circuits
from streaming.models.ref import ABSENT, ModelKey, ModelVersion
from streaming.models.served import ServedModel
from streaming.offsets import OffsetRange
from streaming.testing import ManualClock

CHAMPION, SECOND, DEFAULT = (ModelVersion("flights", number) for number in (5, 4, 0))
SCORE = {"prediction": 1.0}
THREW, TOO_SLOW = DegradedReason.THREW, DegradedReason.TOO_SLOW


@dataclass
class Links:
    """What follows the champion."""

    version: ModelVersion | None = SECOND
    default: ModelVersion | None = DEFAULT
    score: Mapping[str, Any] | None = field(default_factory=lambda: SCORE)

    def fallback_version(self, _: ModelKey, /) -> ModelVersion | None:
        return self.version

    def loaded(self, _: ModelKey, /) -> ServedModel | None:
        return None


@dataclass
class Moves:
    """An observer that remembers."""

    states: list[tuple[int, str]] = field(default_factory=list)

    def circuit_moved(self, version: ModelVersion, state: str, reason: str) -> None:
        self.states.append((version.version, state))


def chain(links: Links, clock: ManualClock, moves: Moves | None = None, open_after: int = 2) -> FallbackChain:
    policy = CircuitPolicy(open_after, 60)
    return FallbackChain("flights", links, Circuits(policy, clock, moves or Moves()))


def plan(version: ModelVersion = CHAMPION, degraded: tuple[DegradedPart, ...] = ()) -> Plan:
    return Plan(
        id="1.1",
        application="app",
        topic="features",
        topic_id="id",
        checkpoint="c",
        batch=0,
        ranges={0: OffsetRange(0, 100)},
        arms=PlannedArms.only(version),
        at="2026-01-01T00:00:00.000Z",
        degraded=degraded,
    )


def test_a_batch_goes_down_the_chain_and_names_the_champion_at_each_step() -> None:
    links = chain(Links(), ManualClock())
    first = links.after(plan(), THREW)
    assert first == DegradedPart("THREW", SECOND, CHAMPION)
    second = links.after(plan(SECOND, (first,)), TOO_SLOW)
    assert second == DegradedPart("TOO_SLOW", DEFAULT, CHAMPION, score=SCORE)
    assert links.after(plan(DEFAULT, (second,)), THREW) is None


def test_links_that_are_not_there_are_passed_over() -> None:
    assert chain(Links(version=None), ManualClock()).after(plan(), THREW) == DegradedPart(
        "THREW", DEFAULT, CHAMPION, score=SCORE
    )
    assert chain(Links(version=CHAMPION, default=None), ManualClock()).after(plan(), THREW) is None
    assert NoChain().after(plan(), THREW) is None


def test_an_open_circuit_sends_batches_on_until_one_has_tried_again() -> None:
    clock, moves = ManualClock(), Moves()
    links = chain(Links(), clock, moves)
    for _ in range(2):
        assert links.at_plan(CHAMPION) is None
        links.after(plan(), TOO_SLOW)
    assert links.at_plan(CHAMPION) == DegradedPart("TOO_SLOW", SECOND, CHAMPION)
    assert links.at_plan(replace(CHAMPION, version=6)) is None, "another version begins with a circuit of its own"
    clock.advance(60)
    assert links.at_plan(CHAMPION) is None
    assert links.is_on_trial(CHAMPION)
    links.after(plan(), THREW)
    assert links.at_plan(CHAMPION) == DegradedPart("THREW", SECOND, CHAMPION)
    clock.advance(60)
    assert links.at_plan(CHAMPION) is None
    links.answered(CHAMPION)
    assert links.at_plan(CHAMPION) is None
    assert not links.is_on_trial(CHAMPION)
    assert moves.states == [(5, state) for state in ("open", "half_open", "open", "half_open", "closed")]


def test_a_fallback_version_whose_circuit_is_open_is_passed_over() -> None:
    links = chain(Links(), ManualClock(), open_after=1)
    part = DegradedPart("THREW", SECOND, CHAMPION)
    links.after(plan(), THREW)
    links.after(plan(SECOND, (part,)), THREW)
    assert links.at_plan(CHAMPION) == DegradedPart("THREW", DEFAULT, CHAMPION, score=SCORE)


def test_with_every_circuit_open_and_no_default_the_champion_is_asked_all_the_same() -> None:
    links = chain(Links(version=None, default=None), ManualClock(), open_after=1)
    assert links.after(plan(), THREW) is None
    assert links.at_plan(CHAMPION) is None


def test_without_a_champion_the_first_of_the_chain_answers() -> None:
    absent = ModelVersion("flights", ABSENT)
    assert chain(Links(), ManualClock()).at_plan(None) == DegradedPart("NOT_LOADED", SECOND, absent)
    assert chain(Links(version=None, default=None), ManualClock()).at_plan(None) is None


rows = st.sets(st.tuples(st.integers(0, 2), st.integers(0, 20)), min_size=1, max_size=12)


@given(rows, st.data(), st.booleans(), st.booleans())
def test_each_row_that_throws_moves_one_step_and_the_others_stay(
    threw: set[tuple[int, int]], data: st.DataObject, has_version: bool, has_default: bool
) -> None:
    links = chain(Links(SECOND if has_version else None, DEFAULT if has_default else None), ManualClock())
    again = data.draw(st.sets(st.sampled_from(sorted(threw))))
    expected = [version for version, is_there in ((SECOND, has_version), (DEFAULT, has_default)) if is_there]
    parts = links.for_rows(plan(), tuple(sorted(threw)))
    if not expected:
        assert parts == ()
        return
    score = SCORE if expected[0] == DEFAULT else None
    assert parts == (DegradedPart("THREW", expected[0], CHAMPION, tuple(sorted(threw)), score),)
    moved = links.for_rows(plan(degraded=parts), tuple(sorted(again)))
    answering = {row: part.version for part in moved for row in part.rows}
    assert answering == {row: expected[-1] if row in again else expected[0] for row in threw}
    assert sum(len(part.rows) for part in moved) == len(threw), "no row has two answers"


def test_rows_on_which_the_fallback_version_of_a_whole_batch_throws_go_to_the_default() -> None:
    part = DegradedPart("TOO_SLOW", SECOND, CHAMPION)
    parts = chain(Links(), ManualClock()).for_rows(plan(SECOND, (part,)), ((0, 7),))
    assert parts == (part, DegradedPart("THREW", DEFAULT, CHAMPION, ((0, 7),), SCORE))
