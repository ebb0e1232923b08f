"""The operator's verbs over real HTTP: who may use them, what they do, and the commands that call them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from jobs.verbs.job import run as job_verbs
from streaming.errors import ConfigurationError, ModelNotFoundError, PenstockError
from streaming.models.ref import ModelKey
from streaming.models.slot import Slot
from streaming.operations.admin import Access, Controls
from streaming.operations.health import Health
from streaming.operations.http import HttpServer, Operations, create_app
from streaming.operations.metrics import Metrics
from streaming.testing import ManualClock

TOKEN = "s3cret"
VERBS = ("/v1/stop", "/v1/resume", "/v1/hold")


@dataclass
class Job:
    """A job's endpoint, and what was asked of it."""

    access: Access = Access("127.0.0.1")  # noqa: RUF009 - frozen
    paused: bool = True
    active: bool = True
    asked: list[object] = field(default_factory=list)
    on_stop: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        controls = Controls(
            model="flights", stop=self.stop, resume=self.resume, hold=self.hold, active=lambda: self.active
        )
        clock, slot = ManualClock(), Slot()
        operations = Operations(Metrics(clock, (1.0,)), Health(slot, clock), slot, None, (controls, self.access))
        self.server = HttpServer(create_app(operations), "127.0.0.1", 0)
        self.server.start()
        self.url = self.server.url

    def stop(self) -> None:
        self.asked.append("stop")
        self.on_stop()

    def resume(self) -> bool:
        self.asked.append("resume")
        return self.paused

    def hold(self, key: ModelKey, reason: str) -> str:
        if key.version > 9:
            raise ModelNotFoundError(f"{key.name} v{key.version} is not in the registry")
        self.asked.append((key.version, reason))
        return "it serves now and goes on until the next swap" if key.version == 5 else ""

    def post(self, path: str, content: str = "", **headers: str) -> tuple[int, str]:
        answer = httpx.post(self.url + path, content=content, headers=headers, timeout=5, trust_env=False)
        return answer.status_code, str(answer.json()["detail"])


Open = Callable[..., Job]


@pytest.fixture
def open_job() -> Iterator[Open]:
    opened: list[Job] = []

    def open_job(**given: object) -> Job:
        opened.append(Job(**given))  # type: ignore[arg-type]  # the table's own
        return opened[-1]

    yield open_job
    for job in opened:
        job.server.stop()


def test_stop_is_accepted_and_passed_on(open_job: Open) -> None:
    job = open_job()
    assert job.post("/v1/stop")[0] == 202
    assert job.asked == ["stop"]


@pytest.mark.parametrize(("paused", "answer"), [(True, (200, "resumed")), (False, (409, "nothing is paused"))])
def test_resume_says_whether_there_was_anything_to_resume(
    open_job: Open, paused: bool, answer: tuple[int, str]
) -> None:
    assert open_job(paused=paused).post("/v1/resume") == answer


def test_hold_passes_the_version_and_the_reason_on(open_job: Open) -> None:
    job = open_job()
    assert job.post("/v1/hold", '{"version": 7, "reason": "it drifts"}') == (200, "version 7 is on hold")
    assert job.asked == [(7, "it drifts")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 422),
        ("7", 422),
        ('{"version": 7}', 422),
        ('{"version": 0, "reason": "x"}', 422),
        ('{"version": 7, "reason": ""}', 422),
        ('{"version": true, "reason": "x"}', 422),
        ('{"version": "7", "reason": "x"}', 422),
        ('{"version": 7.0, "reason": "x"}', 422),
        ('{"version": 7, "reason": 7}', 422),
        ('{"version": 99999999999999999999999999, "reason": "x"}', 422),
        ('{"version": 10, "reason": "there is none"}', 422),
        ("[" * 8_000, 422),
        ('{"version": 7, "reason": "x", "more": 1}', 422),
        ('{"version": 7, "reason": "' + "x" * 20_000 + '"}', 413),
    ],
)
def test_a_hold_that_is_not_as_it_must_be_does_nothing(open_job: Open, body: str, status: int) -> None:
    job = open_job()
    assert job.post("/v1/hold", body)[0] == status
    assert job.asked == []


def test_a_hold_of_what_serves_says_that_it_goes_on(open_job: Open) -> None:
    output = "version 5 is on hold; it serves now and goes on until the next swap"
    assert open_job().post("/v1/hold", '{"version": 5, "reason": "it drifts"}') == (200, output)


def test_a_hold_of_a_version_that_is_not_there_says_so(open_job: Open) -> None:
    status, detail = open_job().post("/v1/hold", '{"version": 10, "reason": "it drifts"}')
    assert (status, detail) == (422, "nothing is on hold: flights v10 is not in the registry")


def test_a_standby_holds_nothing(open_job: Open) -> None:
    job = open_job(active=False)
    assert job.post("/v1/hold", '{"version": 7, "reason": "x"}')[0] == 409
    assert job.asked == []


@pytest.mark.parametrize("path", VERBS)
@pytest.mark.parametrize(
    ("access", "headers", "status"),
    [
        pytest.param(Access("0.0.0.0"), {}, 404, id="not loopback, no token: not there"),
        pytest.param(Access("penstock.example"), {}, 404, id="a name, no token: not there"),
        pytest.param(Access("127.0.0.1", TOKEN), {}, 401, id="token not given"),
        pytest.param(Access("0.0.0.0", TOKEN), {"authorization": "Bearer guess"}, 401, id="wrong token"),
        pytest.param(Access("0.0.0.0", TOKEN), {"authorization": f"Basic {TOKEN}"}, 401, id="another scheme"),
        pytest.param(Access("127.0.0.1"), {"origin": "http://evil.example"}, 403, id="from a web page"),
    ],
)
def test_nobody_else_is_let_in(open_job: Open, path: str, access: Access, headers: dict[str, str], status: int) -> None:
    job = open_job(access=access)
    answer = httpx.post(
        job.url + path, content='{"version": 7, "reason": "x"}', headers=headers, timeout=5, trust_env=False
    )
    assert answer.status_code == status
    assert job.asked == []


@pytest.mark.parametrize("access", [Access("127.0.0.1"), Access("::1"), Access("localhost"), Access("0.0.0.0", TOKEN)])
def test_whoever_may_is_let_in(open_job: Open, access: Access) -> None:
    assert open_job(access=access).post("/v1/stop", authorization=f"bearer {TOKEN}")[0] == 202


def port(job: Job) -> list[str]:
    return [f"http.port={job.server.port}"]


def test_the_commands_find_the_job_by_its_settings_and_bring_the_token(open_job: Open) -> None:
    job = open_job(access=Access("0.0.0.0", TOKEN))
    settings = [*port(job), f"http.admin_token={TOKEN}", "http.host=0.0.0.0"]
    assert job_verbs.resume(None, settings, None) == "resumed"
    assert job_verbs.hold(None, settings, None, 7, "it drifts") == "version 7 is on hold"
    assert job.asked == ["resume", (7, "it drifts")]


def test_stop_returns_when_the_endpoint_is_gone(open_job: Open) -> None:
    job = open_job()
    job.on_stop = lambda: setattr(job.server._server, "should_exit", True)
    job_verbs.stop(None, port(job), None)
    assert not job_verbs.Endpoint(job.url, None).is_there()


def test_stop_fails_when_the_job_does_not_end_in_time(open_job: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_verbs, "_GRACE_SECONDS", 0.0)
    job = open_job()
    with pytest.raises(PenstockError, match=r"still answers after engine\.stop_seconds"):
        job_verbs.stop(None, [*port(job), "engine.stop_seconds=0.3"], None)


@pytest.mark.parametrize(
    ("access", "message"),
    [
        pytest.param(Access("127.0.0.1", TOKEN), "says 401: http.admin_token is needed", id="no token"),
        pytest.param(Access("0.0.0.0"), "accepts no requests", id="not there"),
    ],
)
def test_a_refusal_is_told(open_job: Open, access: Access, message: str) -> None:
    job = open_job(access=access)
    with pytest.raises(PenstockError, match=message):
        job_verbs.stop(None, [], job.url)


def test_where_no_job_is_the_command_says_so() -> None:
    with pytest.raises(PenstockError, match=r"no job answers at http://127\.0\.0\.1:1"):
        job_verbs.stop(None, ["http.port=1"], None)


@pytest.mark.parametrize("setting", ["http.enabled=false", "http.port=0"])
def test_a_job_without_a_known_endpoint_is_stopped_by_other_means(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="--url"):
        job_verbs.stop(None, [setting], None)
