"""Producers in reserve, connected to a real broker: whose they are, how many there are, and that none is used twice."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from streaming.delivery.producers import Identity, Spares


@pytest.fixture
def identity(broker: str) -> Identity:
    return Identity("app", "features", 0, (("bootstrap.servers", broker), ("linger.ms", "5")))


def used() -> Future[Producer]:
    done: Future[Producer] = Future()
    done.set_result(Producer({}))
    return done


def test_a_spare_is_taken_once(identity: Identity) -> None:
    spares = Spares()
    spares.replace(identity, used())
    assert isinstance(spares.take(identity), Producer)
    assert spares.take(identity) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"partition": 1}, id="another partition"),
        pytest.param({"topic": "others"}, id="another topic"),
        pytest.param({"settings": ()}, id="other settings"),
    ],
)
def test_a_spare_is_for_one_identity_alone(identity: Identity, other: dict[str, Any]) -> None:
    spares = Spares()
    spares.replace(identity, used())
    assert spares.take(replace(identity, **other)) is None


def test_a_spare_that_found_no_broker_is_as_none(identity: Identity) -> None:
    @dataclass(frozen=True)
    class Unreachable(Identity):
        def connect(self) -> Producer:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    lost = Unreachable(identity.application, identity.topic, identity.partition, identity.settings)
    spares = Spares()
    spares.replace(lost, used())
    assert spares.take(lost) is None


def test_no_more_spares_are_kept_than_wanted(identity: Identity) -> None:
    spares = Spares(most=2)
    several = [replace(identity, partition=partition) for partition in range(3)]
    for one in several:
        spares.replace(one, used())
    assert [spares.take(one) is not None for one in several] == [True, True, False]


def test_the_spares_of_another_topic_make_room(identity: Identity) -> None:
    spares, now = Spares(most=1), replace(identity, topic="now")
    spares.replace(identity, used())
    spares.replace(now, used())
    assert spares.take(identity) is None
    assert spares.take(now) is not None


def test_what_an_identity_says_of_itself_holds_no_secret() -> None:
    assert "hunter2" not in repr(Identity("app", "features", 0, (("sasl.password", "hunter2"),)))
