"""The record in Python and the contract for everybody else are the same."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.model_event import Actor, EventType, ModelEvent

CONTRACT: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "schemas" / "contracts" / "model_event.json").read_text()
)
VALIDATOR = Draft202012Validator(CONTRACT)
AT = "2026-01-01T00:00:00.000Z"


def test_the_contract_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(CONTRACT)


def test_fields_types_and_actors_are_equal() -> None:
    assert list(CONTRACT["properties"]) == [field.name for field in fields(ModelEvent)]
    later = ["scorer", "scorer_detail"]
    assert CONTRACT["required"] + later == list(CONTRACT["properties"])
    assert CONTRACT["properties"]["type"]["enum"] == [kind.value for kind in EventType]
    assert CONTRACT["properties"]["actor"]["enum"] == [actor.value for actor in Actor]


@pytest.mark.parametrize("kind", list(EventType))
@pytest.mark.parametrize("actor", list(Actor))
def test_every_kind_of_event_keeps_the_contract(kind: EventType, actor: Actor) -> None:
    bare = ModelEvent(kind, "penstock", "flights", "flights@champion", actor, AT)
    full = ModelEvent(
        kind,
        "penstock",
        "flights",
        "flights@champion",
        actor,
        AT,
        1,
        2,
        "run",
        "0" * 64,
        "LOAD_FAILED",
        "it throws",
        1.5,
        "compiled",
        "its answers are Spark's on 966 events",
    )
    for event in (bare, full):
        VALIDATOR.validate(json.loads(event.to_json()))


@pytest.mark.parametrize(
    "change",
    [
        {"type": "party"},
        {"at": "yesterday"},
        {"reason": "a sentence"},
        {"digest": "short"},
        {"to_version": "2"},
        {"surprise": 1},
    ],
)
def test_anything_else_breaks_it(change: dict[str, object]) -> None:
    event = ModelEvent(EventType.SWAP, "penstock", "flights", "flights@champion", Actor.FOLLOWER, AT).to_dict()
    assert not VALIDATOR.is_valid({**event, **change})
