"""Loading a rollout's candidate, and naming a champion by whatever the job's selector goes by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from streaming.errors import CandidateRefusedError, ModelNotFoundError, RegistryUnavailableError
from streaming.models.digest import DIGEST_TAG
from streaming.models.ref import ModelKey, ModelSelector
from streaming.models.rollout_versions import RESUME_TAG, RegistryVersions
from streaming.testing import FakeRegistry, ManualClock
from tests.support.versions import FakeScorer, House, flights
from tests.unit.test_models_follower import prove, register


@dataclass
class Pointer:
    """A :class:`SelectorPointer` over the registry in memory."""

    registry: FakeRegistry

    def point(self, selector: ModelSelector, key: ModelKey, in_place_of: ModelKey | None) -> None:
        if selector.kind == "alias":
            self.registry.point(selector.value, key.version)
        version = self.registry.get(key.name, key.version)
        if selector.kind == "tag":
            name, _, value = selector.value.partition("=")
            self.registry.change(replace(version, tags={**version.tags, name: value}))
            if in_place_of is not None:
                before = self.registry.get(in_place_of.name, in_place_of.version)
                self.registry.change(replace(before, tags={DIGEST_TAG: before.tags[DIGEST_TAG]}))


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A job that serves v1; v2 is there and v3 fails its check."""
    registry = FakeRegistry()
    for content in ("good", "other", "corrupt"):
        register(registry, tmp_path, content)
    registry.point("champion", 1)
    house = House(registry, tmp_path / "cache", ManualClock())
    house.follower.load_first()
    prove(house)
    return house


def test_the_tag_that_passes_a_gate_is_the_versions_own(house: House) -> None:
    assert isinstance(house.registry, FakeRegistry)
    version = house.registry.get("flights", 2)
    house.registry.change(replace(version, tags={**version.tags, RESUME_TAG: "flights-2/1"}))
    assert [versions(house).resume_tag(flights(number)) for number in (1, 2)] == ["", "flights-2/1"]


def versions(house: House, kind: str = "alias", value: str = "champion") -> RegistryVersions:
    assert isinstance(house.registry, FakeRegistry)
    return RegistryVersions(
        registry=house.registry,
        pointer=Pointer(house.registry),
        selector=ModelSelector("flights", kind, value),  # type: ignore[arg-type]
        preparation=house.preparation,
        wake=house.follower.poll,
        roll_back=house.follower.roll_back,
    )


def test_a_candidate_is_loaded_beside_what_serves(house: House) -> None:
    candidate = versions(house).candidate(flights(2))
    assert isinstance(candidate.scorer, FakeScorer)
    assert (candidate.key, house.serving, candidate.scorer.releases) == (flights(2), 1, 0)


@pytest.mark.parametrize(
    ("version", "error"),
    [
        pytest.param(9, ModelNotFoundError, id="there is none"),
        pytest.param(3, CandidateRefusedError, id="it fails a check"),
    ],
)
def test_a_candidate_that_may_not_serve_is_not_loaded(house: House, version: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        versions(house).candidate(flights(version))


def test_while_the_registry_is_silent_a_candidate_comes_from_the_cache(house: House) -> None:
    assert isinstance(house.registry, FakeRegistry)
    loaded = versions(house).candidate(flights(2))
    house.preparation.release(loaded)
    house.registry.down = True
    assert versions(house).candidate(flights(2)).key == flights(2)
    with pytest.raises(RegistryUnavailableError):
        versions(house).candidate(flights(3))


def test_the_alias_moves_and_the_follower_swaps(house: House) -> None:
    assert versions(house).name_champion(flights(2)) == ""
    assert house.serving == 2


def test_taking_a_version_back_serves_the_one_before_and_holds_it(house: House) -> None:
    moved = versions(house)
    moved.name_champion(flights(2))
    moved.take_back(flights(2), "aborted by order")
    assert moved.name_champion(flights(1), flights(2)) == ""
    assert house.serving == 1
    assert flights(2) in house.slot.held


@pytest.mark.parametrize(
    ("kind", "value", "version", "problem"),
    [
        pytest.param(
            "version", "1", 2, "model.version pins v1; set it to 2, or follow an alias", id="a pinned version"
        ),
        pytest.param("version", "2", 2, "", id="it is pinned already"),
        pytest.param(
            "tag", "tier=gold", 1, "flights?tier=gold names v2, as the highest", id="a higher one has the tag"
        ),
        pytest.param("tag", "tier=gold", 2, "", id="it is the highest with the tag"),
    ],
)
def test_what_the_registry_cannot_name_is_said(house: House, kind: str, value: str, version: int, problem: str) -> None:
    assert isinstance(house.registry, FakeRegistry)
    second = house.registry.get("flights", 2)
    house.registry.change(replace(second, tags={**second.tags, "tier": "gold"}))
    refused = versions(house, kind, value).name_champion(flights(version))
    assert refused.startswith(problem)
    assert bool(refused) is bool(problem)


def test_a_tag_is_taken_from_a_version_that_goes_back(house: House) -> None:
    assert isinstance(house.registry, FakeRegistry)
    tagged = versions(house, "tag", "tier=gold")
    tagged.name_champion(flights(2))
    assert tagged.name_champion(flights(1), flights(2)) == ""
