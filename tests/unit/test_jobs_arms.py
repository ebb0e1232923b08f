"""A second arm by the settings: which version it is, what becomes of it, and where it cannot be."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.wiring.arms import arms_of
from streaming.engines.arms import ArmOffer
from streaming.errors import CandidateRefusedError, ModelNotFoundError
from streaming.ledger.arms import PlannedArms
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.settings import ModelSettings, Settings
from streaming.testing import FakeRegistry, ManualClock
from tests.support.versions import FakeScorer, House, flights
from tests.unit.test_models_follower import register

SECOND = {"version": 2, "share": 0.25, "salt": "flights-2"}
NOBODY: frozenset[Any] = frozenset()
SERVING = ModelVersion("flights", 1, "run1")


@pytest.fixture
def house(tmp_path: Path) -> House:
    registry = FakeRegistry()
    for content in ("good", "other", "corrupt"):
        register(registry, tmp_path, content)
    return House(registry, tmp_path / "cache", ManualClock())


def model(**arm: Any) -> ModelSettings:
    return ModelSettings.model_validate({"name": "flights", "arm": arm})


def test_without_the_setting_the_champion_is_alone(house: House) -> None:
    with ExitStack() as stack:
        arms = arms_of(ModelSettings(name="flights"), house.follower, stack)
        assert str(arms.planned(SERVING, NOBODY)) == "flights v1"


def test_the_second_arm_has_its_share_and_is_released_with_the_job(house: House) -> None:
    with ExitStack() as stack:
        arms = arms_of(model(**SECOND), house.follower, stack)
        planned = arms.planned(SERVING, NOBODY)
        assert [(arm.role, arm.version.version) for arm in planned.arms] == [(CHAMPION, 1), (CANDIDATE, 2)]
        assert planned.assignment is not None
        assert planned.assignment.salt == "flights-2"
        assert planned.assignment.intervals.points(CANDIDATE) == 2**30
        loaded = arms.loaded(flights(2))
        assert loaded is not None
        assert isinstance(loaded.scorer, FakeScorer)
        assert loaded.scorer.releases == 0
        assert arms.loaded(flights(1)) is None
    assert loaded.scorer.releases == 1


def test_a_candidate_that_a_query_uses_is_released_when_the_query_has_ended(house: House) -> None:
    with ExitStack() as stack:
        arms = arms_of(model(**SECOND), house.follower, stack)
        with arms.lease(flights(2)) as candidate:
            arms.offer(ArmOffer())
            assert [arms.planned(SERVING, NOBODY) for _ in range(2)] == [PlannedArms.only(SERVING)] * 2
            assert released(candidate) == 0
        arms.planned(SERVING, NOBODY)
        assert released(candidate) == 1
        with pytest.raises(ModelNotFoundError, match="flights/2"), arms.lease(flights(2)):
            pass


def released(model: ServedModel) -> int:
    """How often a version was released."""
    assert isinstance(model.scorer, FakeScorer)
    return model.scorer.releases


@pytest.mark.parametrize(
    ("champion", "held", "given_up"),
    [
        pytest.param(ModelVersion("flights", 2), NOBODY, False, id="it has become the champion"),
        pytest.param(SERVING, frozenset({flights(2)}), False, id="it is on hold"),
        pytest.param(SERVING, NOBODY, True, id="a batch has failed with it"),
    ],
)
def test_the_champion_is_alone_where_the_second_version_cannot_be_an_arm(
    house: House, champion: ModelVersion, held: frozenset[Any], given_up: bool
) -> None:
    with ExitStack() as stack:
        arms = arms_of(model(**SECOND), house.follower, stack)
        if given_up:
            arms.give_up("flights v2 throws")
        assert [arm.version for arm in arms.planned(champion, held).arms] == [champion]


@pytest.mark.parametrize(
    ("version", "error"),
    [
        pytest.param(9, ModelNotFoundError, id="there is none"),
        pytest.param(3, CandidateRefusedError, id="it fails a check"),
    ],
)
def test_a_version_that_cannot_be_loaded_stops_the_start(house: House, version: int, error: type[Exception]) -> None:
    with ExitStack() as stack, pytest.raises(error):
        arms_of(model(**{**SECOND, "version": version}), house.follower, stack)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"model": {"arm": {**SECOND, "share": 1.0}}}, "less than 1", id="all keys"),
        pytest.param({"model": {"arm": {**SECOND, "share": 0}}}, "greater than 0", id="no keys"),
        pytest.param({"model": {"arm": {**SECOND, "salt": "a\0b"}}}, "should match pattern", id="a zero in the salt"),
    ],
)
def test_arms_that_cannot_be_are_refused_in_the_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate(settings)
