"""The section ``fallback``: what is refused before anything starts, and what a job may begin with."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.wiring.fallbacks import load_champion
from streaming.errors import ModelNotFoundError, RegistryUnavailableError
from streaming.settings import Settings
from streaming.testing import FakeRegistry, ManualClock
from tests.support.versions import House, version_files

DEFAULT = {"prediction": 1.0, "probability": [0.25, 0.75]}


def settings(**fallback: Any) -> Settings:
    return Settings.model_validate({"model": {"name": "flights"}, "fallback": {"enabled": True, **fallback}})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        pytest.param({"default": {"prediction": float("nan")}}, "finite number", id="no number"),
        pytest.param({"default": {**DEFAULT, "probability": [0.2, 0.2]}}, r"adds up to 0\.4; make it 1", id="no sum"),
        pytest.param({"default": {**DEFAULT, "prediction": 2.0}}, "a class from 0 to 1", id="no class"),
        pytest.param({"default": {**DEFAULT, "probability": [1.5, -0.5]}}, "less than or equal to 1", id="too likely"),
        pytest.param({"default": {"prediction": 1.0, "label": ""}}, "at least 1 character", id="an empty label"),
        pytest.param({"default": {"score": 1.0}}, "Extra inputs", id="an unknown key"),
        pytest.param({"enabled": False, "default": DEFAULT}, "is not enabled", id="not enabled"),
        pytest.param({"version": {"version": 0}}, "greater than 0", id="no version"),
        pytest.param({"open_after": 0}, "greater than 0", id="never opened"),
    ],
)
def test_a_chain_that_cannot_work_is_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**section)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        pytest.param({"engine": {"kind": "live"}}, "fallback needs engine.kind exact", id="live"),
        pytest.param(
            {"models": {"route": {"field": "tenant", "model": "m-{tenant}"}}},
            "fallback.enabled does not go with models.route",
            id="many models",
        ),
    ],
)
def test_a_job_that_has_no_chain_refuses_one(other: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Settings.model_validate({"fallback": {"enabled": True}, **other})


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A process that has never served; its registry has version 1 without an alias."""
    registry = FakeRegistry()
    registry.register(version_files(tmp_path / "files", "a pipeline"))
    return House(registry, tmp_path / "cache", ManualClock())


def begin(house: House, made: Settings) -> None:
    load_champion(made, house.follower, threading.Event())


@pytest.mark.parametrize(
    "fallback",
    [
        pytest.param({"default": DEFAULT}, id="a default score"),
        pytest.param({"version": {"version": 1}}, id="a fallback version"),
    ],
)
def test_a_job_without_a_champion_begins_if_the_chain_can_answer(house: House, fallback: dict[str, Any]) -> None:
    begin(house, settings(**fallback))
    assert house.serving is None


@pytest.mark.parametrize(
    "fallback",
    [
        pytest.param({}, id="nothing after the champion"),
        pytest.param({"version": {"version": 7}}, id="a fallback version that is not there"),
    ],
)
def test_a_job_without_anything_to_answer_ends_with_the_champions_problem(
    house: House, fallback: dict[str, Any]
) -> None:
    with pytest.raises(ModelNotFoundError):
        begin(house, settings(**fallback))


def test_a_job_without_a_chain_ends_as_ever(house: House) -> None:
    with pytest.raises((ModelNotFoundError, RegistryUnavailableError)):
        begin(house, Settings())
