"""Webhooks: only MLflow's own, fresh and for the first time, wake the follower."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.operations.webhook import WebhookReceiver
from streaming.signing import sign
from streaming.testing import ManualClock

SECRET = "a shared secret"
MOVED = {"entity": "model_version_alias", "action": "created", "data": {"name": "flights", "alias": "champion"}}


class Door:
    """A receiver with its clock, and how often it woke the follower."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.woken = 0
        self.receiver = WebhookReceiver(SECRET, "flights".__eq__, self._wake, self.clock)

    def _wake(self) -> None:
        self.woken += 1

    def knock(
        self, body: bytes, delivery: str = "d1", skew: float = 0, changes: Mapping[str, str] | None = None
    ) -> int:
        timestamp = str(int(self.clock().timestamp() + skew))
        headers = {
            "x-mlflow-delivery-id": delivery,
            "x-mlflow-timestamp": timestamp,
            "x-mlflow-signature": sign(SECRET, delivery, timestamp, body),
        }
        sent = {**headers, **{f"x-mlflow-{name}": value for name, value in (changes or {}).items()}}
        return self.receiver.receive(sent, body).status


@pytest.fixture
def door() -> Door:
    return Door()


def body(**changes: object) -> bytes:
    return json.dumps({**MOVED, **changes}).encode()


def test_a_moved_alias_wakes_the_follower(door: Door) -> None:
    assert door.knock(body()) == 200
    assert door.woken == 1


def test_the_signature_is_mlflow_s(door: Door) -> None:
    """Written out once more from MLflow's documentation, so that ours cannot be wrong on both sides."""
    signed = b"id1.1700000000." + body()
    expected = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert sign(SECRET, "id1", "1700000000", body()) == f"v1,{expected}"


@pytest.mark.parametrize(
    "changes",
    [
        {"signature": ""},
        {"signature": "v1,"},
        {"signature": sign("another secret", "d1", "1356998400", body())},
        {"signature": "v1,Ã¤"},
        {"delivery-id": "d2"},
        {"timestamp": "1356998401"},
        {"timestamp": "soon"},
    ],
    ids=["none", "empty", "another secret", "not ASCII", "another delivery", "another time", "no time"],
)
def test_a_forged_delivery_is_refused(door: Door, changes: dict[str, str]) -> None:
    assert door.knock(body(), changes=changes) == 401
    assert door.woken == 0


def test_a_body_changed_on_the_way_is_refused(door: Door) -> None:
    timestamp = str(int(door.clock().timestamp()))
    headers = {
        "x-mlflow-delivery-id": "d1",
        "x-mlflow-timestamp": timestamp,
        "x-mlflow-signature": sign(SECRET, "d1", timestamp, body()),
    }
    assert door.receiver.receive(headers, body() + b" ").status == 401


@pytest.mark.parametrize(("skew", "status"), [(-299, 200), (299, 200), (-301, 401), (301, 401), (10**12, 401)])
def test_a_delivery_is_taken_only_within_five_minutes(door: Door, skew: float, status: int) -> None:
    assert door.knock(body(), skew=skew) == status


def test_a_signed_timestamp_that_is_no_number_is_refused(door: Door) -> None:
    for timestamp in ("", "-5", "1e9", "\u0661", "9" * 5000):
        headers = {
            "x-mlflow-delivery-id": "d1",
            "x-mlflow-timestamp": timestamp,
            "x-mlflow-signature": sign(SECRET, "d1", timestamp, b"{}"),
        }
        assert door.receiver.receive(headers, b"{}").status == 401


def test_a_replayed_delivery_is_answered_but_does_nothing(door: Door) -> None:
    assert door.knock(body()) == 200
    assert door.knock(body()) == 200
    assert door.woken == 1


def test_a_forgery_does_not_use_up_the_delivery_it_imitates(door: Door) -> None:
    door.knock(body(), changes={"signature": "v1,forged"})
    door.knock(body())
    assert door.woken == 1


def test_the_memory_of_deliveries_is_bounded(door: Door) -> None:
    for number in range(10_050):
        door.knock(b"{}", delivery=str(number))
    assert len(door.receiver._seen) == 10_000


@pytest.mark.parametrize(
    "sent",
    [
        body(entity="prompt"),
        body(entity="registered_model"),
        body(data={"name": "another model"}),
        body(data=None),
        body(data=[]),
        b"[]",
        b"null",
        b"not json",
        b"",
        b"[" * 100_000,
        b'{"data":' * 50_000,
        b"9" * 100_000,
        b'{"entity": "model_version", "data": {"name": ["flights"]}}',
        b'{"entity": ["model_version"], "data": {"name": "flights"}}',
    ],
    ids=lambda sent: sent[:20].decode(),
)
def test_a_signed_event_about_something_else_is_ignored(door: Door, sent: bytes) -> None:
    assert door.knock(sent) == 200
    assert door.woken == 0


@pytest.mark.parametrize("entity", ["model_version", "model_version_alias", "model_version_tag"])
def test_every_event_that_can_change_what_is_selected_wakes(door: Door, entity: str) -> None:
    door.knock(body(entity=entity))
    assert door.woken == 1


@given(st.dictionaries(st.sampled_from(["delivery-id", "timestamp", "signature"]), st.text()), st.binary())
def test_no_stranger_can_wake_the_follower_or_break_the_door(headers: dict[str, str], sent: bytes) -> None:
    door = Door()
    reply = door.receiver.receive({f"x-mlflow-{name}": value for name, value in headers.items()}, sent)
    assert reply.status == 401
    assert door.woken == 0
