"""Looking whether the job may still write: what is wrong is told, what could not be looked at is not."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from streaming.clock import system_clock
from streaming.delivery.outcome import AGE_BOUNDS
from streaming.delivery.refusals import require_granted
from streaming.errors import BrokerUnavailableError, ConfigurationError, PenstockError, TopicDeletedError
from streaming.models.slot import Slot
from streaming.operations.health import Health
from streaming.operations.lookout import Lookout
from streaming.operations.metrics import Metrics
from streaming.operations.observer import JobObserver
from tests.support.eventually import eventually


def looked(*answers: PenstockError | None) -> list[str]:
    """Return what is told of these answers, one for each look."""
    reported: list[str] = []
    looks = iter(answers)
    over: list[bool] = []

    def look() -> None:
        try:
            answer = next(looks)
        except StopIteration:
            over.append(True)
            raise BrokerUnavailableError("the last look") from None
        if answer is not None:
            raise answer

    with Lookout(look, reported.append, every=0.001):
        eventually(lambda: over, every=0.01)
    return reported


@pytest.mark.parametrize("problem", [ConfigurationError("grant WRITE"), TopicDeletedError("out was deleted")])
def test_what_is_wrong_is_told_until_it_is_mended(problem: PenstockError) -> None:
    assert looked(None, problem, problem, None) == ["", str(problem), str(problem), ""]


def test_a_broker_that_does_not_answer_changes_nothing() -> None:
    away = BrokerUnavailableError("away")
    assert looked(ConfigurationError("grant WRITE"), away, away) == ["grant WRITE"]


def test_health_names_it_and_the_log_says_it_once() -> None:
    health = Health(Slot(), system_clock)
    observer = JobObserver(Metrics(system_clock, AGE_BOUNDS), health)
    with capture_logs() as logs:
        for problem in ("out was deleted", "out was deleted", "", ""):
            observer.outputs_seen(problem)
            assert ("out was deleted" in health.ready().reasons) is bool(problem)
    assert health.live().ok
    assert [line["event"] for line in logs] == ["a topic cannot be used", "the topics can be used again"]


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        pytest.param({"a": frozenset({"READ"}), "b": frozenset({"WRITE"})}, "", id="all that is needed"),
        pytest.param({"a": None, "b": None}, "", id="a broker that does not say"),
        pytest.param({}, "", id="topics that are not there"),
        pytest.param({"a": frozenset(), "b": frozenset({"WRITE"})}, "READ on topic a", id="nothing"),
        pytest.param(
            {"a": frozenset({"WRITE"}), "b": frozenset({"READ"})},
            "READ on topic a, WRITE on topic b",
            id="other rights",
        ),
    ],
)
def test_every_missing_right_is_named(granted: dict[str, frozenset[str] | None], missing: str) -> None:
    needs, kafka = {"a": ("READ",), "b": ("WRITE",)}, {"bootstrap.servers": "k:9092", "sasl.username": "penstock"}
    if not missing:
        require_granted(needs, granted, kafka)
        return
    with pytest.raises(ConfigurationError) as caught:
        require_granted(needs, granted, kafka)
    assert str(caught.value) == f"Kafka at k:9092 refuses: grant {missing} to User:penstock"
