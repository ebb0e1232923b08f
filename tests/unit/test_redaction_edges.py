"""That nothing leaves without redaction: log lines, news to topics and hooks, HTTP answers, stack traces."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from fastapi import FastAPI, HTTPException
from fastapi.responses import PlainTextResponse

from jobs.process.logs import configure_logging
from schemas.drift import Window
from schemas.drift_alert import DriftAlert
from schemas.model_event import Actor, EventType, ModelEvent
from streaming.operations.http import HttpServer
from streaming.operations.redacted import RedactedAnswers
from streaming.redaction import MASK, hide
from streaming.settings import LogSettings

CANARY = "Canary-7"
URL = "http://user:Canary-8@registry:5000"
CANARIES = (CANARY, "Canary-8", "Canary-9")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


class Opaque:
    def __str__(self) -> str:
        return f"an object that says {CANARY}"


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_no_line_has_a_secret_at_any_level(log: io.StringIO, level: str, form: str) -> None:
    hide([CANARY])
    configure_logging(LogSettings.model_validate({"level": level, "format": form}), log)
    ours, theirs = structlog.get_logger("ours"), logging.getLogger("some.library")
    for severity in ("debug", "info", "warning", "error"):
        write = getattr(ours, severity)
        write(f"event {CANARY}", value=CANARY, nested={"list": [CANARY, URL]}, problem=Opaque(), pair=(CANARY, 1))
        write("by key", password="Canary-9", settings={"sasl.jaas.config": "Canary-9", "n": 3}, url=URL)
        getattr(theirs, severity)("%s and %s, password=%s", CANARY, Opaque(), "Canary-9", extra={"token": "Canary-9"})
    try:
        raise ValueError(f"no answer from {URL} {CANARY}") from KeyError(CANARY)
    except ValueError:
        ours.exception("failed")
        theirs.exception("failed too")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"a warning about {CANARY}", stacklevel=1)
    text = log.getvalue()
    assert "ValueError" in text
    assert MASK in text
    assert [canary for canary in CANARIES if canary in text] == []
    if form == "json":
        assert all(isinstance(json.loads(line), dict) for line in text.splitlines())


def test_commands_to_the_jvm_are_never_logged(log: io.StringIO) -> None:
    configure_logging(LogSettings(level="debug", format="json"), log)
    logging.getLogger("py4j.clientserver").debug("Command to send: pickled")
    logging.getLogger("urllib3").debug("a request")
    assert "pickled" not in log.getvalue()
    assert "a request" in log.getvalue()


def test_news_carry_no_secret_to_topics_and_hooks() -> None:
    hide([CANARY])
    detail = f"the registry {URL} said {CANARY}"
    event = ModelEvent(
        EventType.REGISTRY_DOWN, "app", "model", "model@alias", Actor.FOLLOWER, "2026-01-01T00:00:00Z", detail=detail
    )
    alert = DriftAlert(Window("app", "model", 1, "a", "b"), "drift", "stable", (), (), (), (), "large", detail)
    for news in (event, alert):
        assert [canary for canary in CANARIES if canary in news.to_json() + str(news.to_dict())] == []
        assert "the registry http://user:***@registry:5000 said ***" in news.to_json()
    assert ModelEvent(EventType.RESUME, "app", "m", "s", Actor.OPERATOR, "t").to_dict()["detail"] is None


@pytest.fixture
def door() -> Iterator[httpx.Client]:
    app = FastAPI()
    app.add_middleware(RedactedAnswers)

    @app.get("/reasons")
    def reasons() -> dict[str, object]:
        return {"ok": False, "reasons": [f"{URL} said {CANARY}"], "password": 7, "version": 4}

    @app.get("/refused")
    def refused() -> None:
        raise HTTPException(409, f"not {CANARY}")

    @app.get("/typed")
    def typed(number: int) -> int:
        return number

    @app.head("/reasons")
    def head() -> None: ...

    @app.get("/text")
    def text() -> PlainTextResponse:
        return PlainTextResponse("penstock_rows_total 12345678\n")

    server = HttpServer(app, "127.0.0.1", 0)
    server.start()
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client
    server.stop()


def test_no_answer_has_a_secret(door: httpx.Client) -> None:
    hide([CANARY])
    answer = door.get("/reasons")
    assert answer.json() == {
        "ok": False,
        "reasons": [f"http://user:{MASK}@registry:5000 said {MASK}"],
        "password": MASK,
        "version": 4,
    }
    assert answer.headers["content-length"] == str(len(answer.content))
    assert door.get("/refused").json() == {"detail": f"not {MASK}"}
    assert CANARY not in door.get(f"/typed?number={CANARY}").text
    assert door.head("/reasons").content == b""
    assert door.get("/text").text == "penstock_rows_total 12345678\n"


def test_a_trace_that_nobody_foresaw_has_no_secret() -> None:
    code = (
        "import threading\nfrom jobs.process.traces import redact_traces\nfrom streaming.redaction import hide\n"
        f"hide(['{CANARY}'])\nredact_traces()\n"
        f"thread = threading.Thread(target=lambda: int('{URL}'), name='poller')\nthread.start()\nthread.join()\n"
        f"raise ValueError('{CANARY}') from KeyError('{CANARY}')\n"
    )
    done = subprocess.run([sys.executable, "-"], input=code, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"ValueError: {MASK}" in done.stderr
    assert "Exception in thread poller" in done.stderr
    assert [canary for canary in CANARIES if canary in done.stderr] == []
