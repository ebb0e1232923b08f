"""Health and the endpoint, asked over real HTTP."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from streaming.errors import SetupError
from streaming.models.ref import ModelVersion
from streaming.models.slot import Slot
from streaming.operations.bounds import BoundedProtocol
from streaming.operations.health import Health
from streaming.operations.http import HttpServer, Listening, Operations, create_app
from streaming.operations.metrics import Metrics
from streaming.operations.observer import JobObserver, QueryProgress
from streaming.operations.webhook import MAX_BODY_BYTES, WebhookReceiver
from streaming.signing import sign
from streaming.testing import ManualClock
from tests.support.certificates import self_signed
from tests.support.versions import flights
from tests.unit.test_models_slot import prove, served
from tests.unit.test_operations_metrics import Batch, Rows

SECRET = "a shared secret"


class Job:
    """The operations side of a job, with a server on a free port."""

    def __init__(self, *, webhook: bool = True) -> None:
        self.clock = ManualClock()
        self.slot = Slot()
        self.metrics = Metrics(self.clock, (0.1, 1.0))
        self.health = Health(self.slot, self.clock, stale_seconds=60)
        self.observer = JobObserver(self.metrics, self.health)
        self.woken = 0
        receiver = WebhookReceiver(SECRET, "flights".__eq__, self._wake, self.clock) if webhook else None
        app = create_app(Operations(self.metrics, self.health, self.slot, receiver, rollout=self.observer.rollout))
        self.server = HttpServer(app, "127.0.0.1", 0)
        self.server.start()
        self.client = httpx.Client(base_url=self.server.url, timeout=5, trust_env=False)

    def _wake(self) -> None:
        self.woken += 1

    def run(self) -> None:
        """Bring the job to where it is ready."""
        self.slot.swap(served(1))
        self.observer.query_started()

    def reasons(self) -> list[str]:
        reply = self.client.get("/readyz")
        reasons: list[str] = reply.json()["reasons"]
        assert reply.status_code == (503 if reasons else 200)
        assert reply.json()["ok"] is not bool(reasons)
        return reasons

    def close(self) -> None:
        self.client.close()
        self.server.stop()


@pytest.fixture
def job() -> Iterator[Job]:
    made = Job()
    yield made
    made.close()


def test_what_is_good_to_know_makes_a_job_no_less_ready(job: Job) -> None:
    job.run()
    assert job.client.get("/readyz").json() == {"ok": True, "reasons": []}
    job.health.note("each batch is planned anew")
    assert job.reasons() == []
    assert job.client.get("/readyz").json()["notes"] == ["each batch is planned anew"]


def test_a_job_is_alive_before_it_is_ready(job: Job) -> None:
    assert job.client.get("/livez").status_code == 200
    assert job.reasons() == ["the query has not started yet", "no model version is loaded yet"]


def test_a_running_query_with_a_version_is_ready(job: Job) -> None:
    job.run()
    assert job.reasons() == []


def test_silence_without_a_word_of_idleness_is_not_ready(job: Job) -> None:
    job.run()
    job.clock.advance(61)
    assert job.reasons() == ["no batch and no word of idleness for 61 s"]


@pytest.mark.parametrize("sign_of_life", ["batch", "progress", "idle"])
def test_each_sign_of_life_keeps_it_ready(job: Job, sign_of_life: str) -> None:
    job.run()
    for _ in range(5):
        job.clock.advance(40)
        if sign_of_life == "batch":
            job.observer.batch_finished(Batch(Rows(1)))
        elif sign_of_life == "progress":
            job.observer.progressed(QueryProgress(1, 1, 0.1, {"features": {0: 4}}))
        else:
            job.observer.idle()
    assert job.reasons() == []


def test_a_failed_query_is_not_ready_until_it_runs_again_and_is_never_dead(job: Job) -> None:
    job.run()
    job.observer.query_failed("broker away\n  at org.apache...", 2.0)
    assert job.reasons() == ["the query failed and starts again in 2 s: broker away"]
    assert job.client.get("/livez").status_code == 200
    job.observer.query_started()
    assert job.reasons() == []
    assert "penstock_query_restarts_total 1.0" in job.client.get("/metrics").text


REFUSED = """[STREAM_FAILED] Query [id = 824e368b] terminated with exception: Job aborted due to stage failure
  File "streaming/delivery/writer.py", line 184, in _write
cimpl.KafkaException: KafkaError{code=INVALID_RECORD,val=87,str="ProduceRequest for out [0] with 1 message(s) failed"}
"""
TOO_LARGE = """[STREAM_FAILED] Query [id = 824e368b] terminated with exception: Job aborted due to stage failure
Caused by: org.apache.kafka.common.errors.RecordTooLargeException: The request included a message larger than the max
"""


@pytest.mark.parametrize(
    ("problem", "cause"),
    [
        pytest.param(REFUSED, "ProduceRequest for out [0] with 1 message(s) failed (INVALID_RECORD)", id="our client"),
        pytest.param(
            TOO_LARGE,
            "The request included a message larger than the max (RecordTooLargeException)",
            id="Spark's client",
        ),
        pytest.param("the model fell over\nwith this", "the model fell over", id="something else"),
    ],
)
@pytest.mark.parametrize("sign_of_life", ["batch", "progress", "idle"])
def test_a_query_that_fails_again_is_not_ready_until_it_gets_on_and_says_why(
    job: Job, problem: str, cause: str, sign_of_life: str
) -> None:
    job.run()
    for _ in range(3):
        job.observer.query_failed(problem, 2.0)
        job.observer.query_started()
    assert job.reasons() == [f"the query has failed 3 times without a finished batch; the last time: {cause}"]
    assert job.client.get("/livez").status_code == 200, "a new process would fail as well"
    match sign_of_life:
        case "batch":
            job.observer.batch_finished(Batch(Rows(1)))
        case "progress":
            job.observer.progressed(QueryProgress(1, 1, 0.1, {}))
        case "idle":
            job.observer.idle()
    assert job.reasons() == []
    job.observer.query_failed(problem, 2.0)
    job.observer.query_started()
    assert job.reasons() == [], "the count begins anew"


UNKNOWN = REFUSED.replace("code=INVALID_RECORD", "code=UNKNOWN_TOPIC_OR_PART")


@pytest.mark.parametrize("problem", [REFUSED, TOO_LARGE, UNKNOWN], ids=["refused", "too large", "a new partition"])
def test_what_kafka_said_is_logged_in_a_line_and_not_as_a_stack_trace(job: Job, problem: str) -> None:
    with capture_logs() as logs:
        job.observer.query_failed(problem, 2.0)
    (error,) = (entry for entry in logs if entry["log_level"] == "error")
    assert "File" not in error["problem"]
    assert len(error["problem"].splitlines()) == 1
    (trace,) = (entry["trace"] for entry in logs if entry["log_level"] == "debug")
    assert trace in problem, "for whoever looks for the place"


def test_any_other_failure_is_logged_with_where_it_was(job: Job) -> None:
    with capture_logs() as logs:
        job.observer.query_failed("it fell over\n  File a.py\n=== Streaming Query ===\nthe plan", 2.0)
    assert [entry["problem"] for entry in logs] == ["it fell over\n  File a.py"]


def test_a_broken_invariant_needs_a_new_process(job: Job) -> None:
    job.run()
    job.observer.invariant_broken(10, 9)
    reply = job.client.get("/livez")
    assert reply.status_code == 503
    assert reply.json()["reasons"] == ["a batch had 10 rows in and 9 out"]


def test_a_paused_job_is_alive_and_says_why_it_is_not_ready_however_long_it_waits(job: Job) -> None:
    job.run()
    job.observer.paused("900 of the last 1,000 rows became dead letters")
    job.clock.advance(3_600)
    assert job.reasons() == ["paused: 900 of the last 1,000 rows became dead letters"]
    assert job.client.get("/livez").status_code == 200
    assert "penstock_paused 1.0" in job.client.get("/metrics").text
    job.observer.resumed()
    assert job.reasons() == []
    assert "penstock_paused 0.0" in job.client.get("/metrics").text


def test_a_query_that_was_stopped_is_not_ready(job: Job) -> None:
    job.run()
    job.observer.terminated(None)
    assert job.reasons() == ["the query was stopped"]


def test_metrics_come_in_prometheus_text_format(job: Job) -> None:
    job.observer.batch_failed(ModelVersion("flights", 3), "it throws")
    reply = job.client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'penstock_batch_failures_total{version="3"} 1.0' in reply.text


def test_the_serving_version_is_shown(job: Job) -> None:
    assert job.client.get("/v1/model").status_code == 503
    job.slot.swap(served(1))
    prove(job.slot)
    job.slot.swap(served(2))
    job.slot.hold(flights(7))
    shown = job.client.get("/v1/model").json()
    assert (shown["name"], shown["version"], shown["last_good_version"]) == ("flights", 2, 1)
    assert shown["held_versions"] == [7]


def signed(job: Job, body: bytes) -> dict[str, str]:
    timestamp = str(int(job.clock().timestamp()))
    return {
        "X-MLflow-Delivery-Id": "d1",
        "X-MLflow-Timestamp": timestamp,
        "X-MLflow-Signature": sign(SECRET, "d1", timestamp, body),
    }


def test_a_signed_webhook_wakes_the_follower(job: Job) -> None:
    body = b'{"entity": "model_version_alias", "action": "created", "data": {"name": "flights"}}'
    assert job.client.post("/webhooks/mlflow", content=body, headers=signed(job, body)).status_code == 200
    assert job.woken == 1


def test_an_unsigned_webhook_is_refused(job: Job) -> None:
    assert job.client.post("/webhooks/mlflow", content=b"{}").status_code == 401


def test_an_oversize_body_is_refused_before_it_is_read_whole(job: Job) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)
    assert job.client.post("/webhooks/mlflow", content=body, headers=signed(job, body)).status_code == 413


def test_without_a_secret_the_webhook_door_is_not_there() -> None:
    job = Job(webhook=False)
    try:
        assert job.client.post("/webhooks/mlflow", content=b"{}").status_code == 404
    finally:
        job.close()


def test_a_port_in_use_is_said_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        job = create_app(Operations(Metrics(ManualClock(), (1.0,)), Health(Slot(), ManualClock()), Slot()))
        with pytest.raises(SetupError, match=rf"127\.0\.0\.1:{port} cannot be taken.*set http\.port"):
            HttpServer(job, "127.0.0.1", port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.1"])
def test_a_host_that_is_not_here_is_said_with_the_remedy(host: str) -> None:
    with pytest.raises(SetupError, match=r"cannot be taken.*set serve\.host to an address of this machine"):
        HttpServer(FastAPI(), host, 0, Listening("serve"))


def test_an_answer_on_a_kept_connection_does_not_wait_for_the_clients_acknowledgement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []

    class Watched(BoundedProtocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
            connection = transport.get_extra_info("socket")
            seen.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            super().connection_made(transport)

    monkeypatch.setattr("streaming.operations.http.BoundedProtocol", Watched)
    job = Job()
    try:
        assert job.client.get("/livez").status_code == 200
    finally:
        job.close()
    assert seen
    assert all(seen)


def test_stopping_gives_the_port_back(job: Job) -> None:
    job.server.stop()
    with socket.create_server(("127.0.0.1", job.server.port)):
        pass


def test_with_a_certificate_the_endpoint_speaks_tls_alone(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    app = create_app(Operations(Metrics(ManualClock(), (1.0,)), Health(Slot(), ManualClock()), Slot()))
    server = HttpServer(app, "127.0.0.1", 0, Listening("serve", 1, (certificate, key)))
    server.start()
    try:
        assert server.url.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(certificate))
        assert httpx.get(f"{server.url}/livez", verify=trusting, trust_env=False).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{server.port}/livez", trust_env=False)
    finally:
        server.stop()


def test_the_model_page_and_the_metrics_say_where_a_rollout_stands(job: Job) -> None:
    job.run()
    assert "rollout" not in job.client.get("/v1/model").json()
    summary = {"rollout": "flights-8", "version": 8, "phase": "step", "step": 1, "share": 0.05}
    for phase in ("step", "promoting"):
        job.observer.rollout_at({**summary, "phase": phase})
    assert job.client.get("/v1/model").json()["rollout"]["phase"] == "promoting"
    lines = job.client.get("/metrics").text.splitlines()
    assert 'penstock_rollout_info{phase="promoting",rollout="flights-8",step="1",version="8"} 1.0' in lines
    assert "penstock_rollout_share 0.05" in lines
    assert not [line for line in lines if 'phase="step"' in line]
