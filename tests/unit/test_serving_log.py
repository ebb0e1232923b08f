"""Answers written after they were given: bounded, counted, and the records that the stream's writer would send."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streaming.errors import BrokerUnavailableError, ConfigurationError
from streaming.events import columns as c
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.served import ServedModel
from streaming.outputs.arrow_rows import enveloped_rows
from streaming.outputs.envelope import Stamp
from streaming.outputs.targets import Target
from streaming.scoring.row_pass import JsonRowPass
from streaming.serving.answer_log import AnsweredRequest, AnswerLog
from streaming.serving.answer_rows import AnswerRows
from streaming.serving.arms import EventAnswer, ServedArm
from streaming.serving.passes import EventPasses
from streaming.serving.server_metrics import ServerMetrics
from streaming.settings import EventSettings, ServeSettings
from streaming.testing import ManualClock
from tests.support.eventually import eventually
from tests.support.servers import ServerBench, a_bench, event, flight_package, loaded
from tests.unit.test_scoring_row_pass import records

PROFILE = ReferenceProfile(
    (
        ColumnProfile("hour", "numeric", {}, edges=(6.0, 12.0, 18.0)),
        ColumnProfile("prediction", "numeric", {}, edges=(0.5,)),
        ColumnProfile("confidence", "numeric", {}, edges=(0.6, 0.8)),
    ),
    rows=10,
)
ENVELOPE = EventSettings(key="carrier")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return loaded(replace(flight_package(tmp_path_factory.mktemp("model")), profile=PROFILE), ENVELOPE)


@dataclass
class MemorySink:
    """Keeps what is written, and fails while it is told to."""

    metrics: ServerMetrics
    requests: list[AnsweredRequest] = field(default_factory=list)
    failure: Exception | None = None
    gate: threading.Event | None = None
    closed: int = 0

    def write(self, requests: Sequence[AnsweredRequest]) -> None:
        if self.gate is not None:
            self.gate.wait(30)
        number = sum(len(request.answers) for request in requests)
        if self.failure is not None:
            self.metrics.answers_logged("failed", number)
            raise self.failure
        self.requests += requests
        self.metrics.answers_logged("written", number)

    def look(self) -> bool:
        return bool(self.requests)

    def close(self, seconds: float) -> None:
        self.closed += 1


@contextmanager
def logging(model: ServedModel, **parts: Any) -> Iterator[tuple[ServerBench, list[MemorySink]]]:
    """A server whose answers are kept, and the sinks that it has opened."""
    sinks: list[MemorySink] = []
    changes = parts.pop("sink_parts", {})

    def opened(_: EventPasses, metrics: ServerMetrics) -> MemorySink:
        sinks.append(MemorySink(metrics, **changes))
        return sinks[-1]

    with a_bench(model, sink=opened, **parts) as bench:
        assert bench.log is not None
        bench.log.start()
        try:
            yield bench, sinks
        finally:
            bench.log.stop(5.0)


def test_each_answer_is_written_after_it_was_given_with_its_event(model: ServedModel) -> None:
    with logging(model) as (bench, sinks):
        bench.score([event(event_id="a"), event(hour=None)])
        bench.score(event(event_id="b"))
        bench.score([])
        bench.ask("POST", "/invocations", json={"dataframe_records": [{"hour": 3}]})
        eventually(lambda: bench.metrics.logged() == {"written": 3, "dropped": 0, "failed": 0})
        health = bench.ask("GET", "/health").json()
        assert health["log"] == {"written": 3, "dropped": 0, "failed": 0, "waiting_bytes": 0, "problem": None}
        answers = [answer for request in sinks[0].requests for answer in request.answers]
        assert [isinstance(answer.value, bytes) for answer in answers] == [True, False, True]
        assert 'penstock_logged_answers_total{outcome="written"} 3.0' in bench.ask("GET", "/metrics").text
    assert sinks[0].closed == 1


def test_what_does_not_fit_is_dropped_and_counted_and_the_caller_has_its_answer(model: ServedModel) -> None:
    gate = threading.Event()
    limits = ServeSettings(log_max_bytes=10_000)
    with logging(model, settings=limits, sink_parts={"gate": gate}) as (bench, sinks):
        answers = [bench.score(event(event_id=str(number))) for number in range(40)]
        assert {answer.status_code for answer in answers} == {200}
        dropped = bench.metrics.logged()["dropped"]
        assert 20 <= dropped < 40
        assert bench.log is not None
        assert 0 < bench.log.waiting_bytes <= 10_000
        gate.set()
        eventually(lambda: bench.metrics.logged()["written"] == 40 - dropped)
        bench.score(event(event_id="later"))
        eventually(lambda: b'"later"' in sinks[0].requests[-1].events[0])


def test_a_sink_that_fails_is_opened_again_and_what_it_lost_is_counted(
    model: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.serving.answer_log._RETRY_SECONDS", 0.01)
    with logging(model) as (bench, sinks), capture_logs() as logs:
        sinks[0].failure = BrokerUnavailableError("it is away")
        bench.score(event())
        eventually(lambda: len(sinks) == 2)
        assert bench.metrics.logged() == {"written": 0, "dropped": 0, "failed": 1}
        assert sinks[0].closed == 1
        bench.score(event())
        eventually(lambda: bench.metrics.logged()["written"] == 1)
        assert bench.log is not None
        eventually(lambda: bench.log is not None and not bench.log.problem)
    assert [line["problem"] for line in logs if "problem" in line] == ["it is away"]


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_broker_that_is_away_at_the_start_keeps_no_server_from_starting(
    model: ServedModel, comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.serving.answer_log._RETRY_SECONDS", 0.01)
    metrics, is_away = ServerMetrics(ManualClock()), [True]

    def opened() -> MemorySink:
        if is_away[0]:
            raise BrokerUnavailableError("nobody answers")
        return MemorySink(metrics)

    log = AnswerLog(opened, metrics, 10_000)
    log.start()
    assert log.standing()["problem"] == "nobody answers"
    answer = EventAnswer(b'{"a":1}', ServedArm(model))
    log.add([b"{}"], [answer])
    is_away[0] = not comes_back
    if comes_back:
        eventually(lambda: metrics.logged()["written"] == 1)
    log.stop(2.0)
    assert metrics.logged() == {"written": int(comes_back), "dropped": int(not comes_back), "failed": 0}
    assert log.waiting_bytes == 0


def test_settings_by_which_nothing_can_be_written_end_the_start() -> None:
    def opened() -> MemorySink:
        raise ConfigurationError("the topic is compacted")

    with pytest.raises(ConfigurationError, match="compacted"):
        AnswerLog(opened, ServerMetrics(ManualClock()), 1_000).start()


EVENTS: list[Callable[[int], dict[str, Any]]] = [
    lambda number: event(event_id=f"e{number}", hour=number % 24, carrier="UA" if number % 3 else "AA"),
    lambda number: event(event_id=f"e{number}", hour=number % 24, carrier=None),
    lambda number: event(event_id=f"e{number}", hour=None),
]


@pytest.mark.parametrize("many", [3, 90], ids=["one by one", "in a pass over a batch"])
def test_the_rows_are_those_that_the_streams_writer_would_send(model: ServedModel, many: int) -> None:
    to = Target("answers", 4, 1_000_000)
    bodies = [EVENTS[number % 3](number) for number in range(many)]
    with logging(model) as (bench, sinks):
        answer = bench.score(bodies)
        eventually(lambda: sum(bench.metrics.logged().values()) == many)
        (request,) = sinks[0].requests
        # Nothing of the model is asked again.
        assert isinstance(model.row_pass, JsonRowPass)
        silent = replace(model, row_pass=replace(model.row_pass, scorer=None))  # type: ignore[arg-type]
        arm = ServedArm(silent)
        moved = request._replace(answers=[EventAnswer(each.value, arm) for each in request.answers])
        ((rows, stamp),) = AnswerRows("http-test", bench.passes.numbers, to).of([moved])
    assert answer.status_code == 200
    assert stamp.id_prefix == "late:champion:http-test:"
    assert isinstance(model.row_pass, JsonRowPass)
    scored = model.row_pass.score(records(*request.events))
    expected = enveloped_rows(scored, [Stamp("http-test", model.version, "champion", stamp.scored_at)], to)
    for own, theirs in zip(rows.to_pylist(), expected.to_pylist(), strict=True):
        same = ("reason", "field", "event_time", "subject", "traceparent")
        assert {name: own[name] for name in same} == {name: theirs[name] for name in same}
        if own["reason"] is None:
            assert own["bins"] == theirs["bins"]
            assert len(own["bins"]) == len(PROFILE.columns)
            assert own["key"] == (None if own["subject"] is None else own["subject"].encode())
            assert own["timestamp"] == 1_357_017_300_000
            assert f'"late:champion:http-test:0:{own["offset"]}"'.encode() in own["value"]
        else:
            assert own["value"] in request.events
    assert len({row["offset"] for row in rows.to_pylist()}) == many


def test_an_event_that_names_no_time_and_no_id_keeps_those_of_its_answer(tmp_path: Path) -> None:
    model = loaded(replace(flight_package(tmp_path), profile=PROFILE), EventSettings(id=None, time=None))
    with logging(model) as (bench, sinks):
        answer = bench.score({"hour": 3}).json()
        eventually(lambda: bench.metrics.logged()["written"] == 1)
        rows = AnswerRows("http-test", bench.passes.numbers, Target("answers", 1, 1_000_000)).of(sinks[0].requests)
        (row,) = next(iter(rows)).rows.to_pylist()
    assert (row["event_time"], row["timestamp"]) == (answer["event_time"], 1_356_998_400_000)
    assert answer["event_id"] == f"0-{row['offset']}"


def test_a_logged_event_that_its_topic_does_not_take_becomes_a_dead_letter(model: ServedModel) -> None:
    with logging(model) as (bench, sinks):
        bench.score(event(carrier="x" * 2_000))
        eventually(lambda: bench.metrics.logged()["written"] == 1)
        narrow = AnswerRows("http-test", bench.passes.numbers, Target("answers", 1, 6_000))
        (row,) = next(iter(narrow.of(sinks[0].requests))).rows.to_pylist()
    assert row["reason"] == "PREDICTION_TOO_LARGE"
    assert row["value"] == sinks[0].requests[0].events[0]
    assert c.BINS not in row
