"""Telling others about model events, over a real HTTP server: signed, tried again, and never in the job's way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from pydantic import SecretStr

from schemas.model_event import Actor, EventType, ModelEvent
from streaming.adapters.hooks import (
    ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    BackgroundSink,
    PythonHook,
    WebhookHook,
    hooks_from,
)
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.local.processes import free_port
from streaming.settings import HookSettings
from streaming.signing import is_signed
from streaming.sinks import News
from tests.support import hooks
from tests.support.eventually import eventually

SECRET = "a shared secret"
EVENT = ModelEvent(
    EventType.SWAP, "penstock", "flights", "flights@champion", Actor.FOLLOWER, "2026-01-01T00:00:00.000Z", 1, 2
)


class Receiver:
    """An HTTP server that answers with the given statuses, then 200, and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.deliveries.append((dict(self.headers), body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/told"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def test_an_event_arrives_signed(receiver: Receiver) -> None:
    WebhookHook(receiver.url, SECRET, 1, system_clock).send(EVENT)
    (headers, body) = receiver.deliveries[0]
    assert json.loads(body) == EVENT.to_dict()
    assert is_signed(headers[SIGNATURE_HEADER.title()], SECRET, headers[ID_HEADER], headers[TIMESTAMP_HEADER], body)
    assert abs(int(headers[TIMESTAMP_HEADER]) - time.time()) < 60


def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    WebhookHook(receiver.url, None, 1, system_clock).send(EVENT)
    assert SIGNATURE_HEADER not in receiver.deliveries[0][0]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_receiver_in_trouble_is_tried_again_with_the_same_delivery_id(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    WebhookHook(receiver.url, SECRET, 3, system_clock).send(EVENT)
    assert len({headers[ID_HEADER] for headers, _ in receiver.deliveries}) == 1
    assert len(receiver.deliveries) == 2


def test_attempts_end(receiver: Receiver) -> None:
    receiver.answers = [503] * 10
    with pytest.raises(httpx.HTTPStatusError):
        WebhookHook(receiver.url, SECRET, 2, system_clock).send(EVENT)
    assert len(receiver.deliveries) == 2


def test_a_receiver_that_says_no_is_not_asked_again(receiver: Receiver) -> None:
    receiver.answers = [400]
    with pytest.raises(httpx.HTTPStatusError):
        WebhookHook(receiver.url, SECRET, 5, system_clock).send(EVENT)
    assert len(receiver.deliveries) == 1


def test_a_user_s_function_gets_the_event_as_a_dict() -> None:
    hooks.seen.clear()
    PythonHook("tests.support.hooks:remember").send(EVENT)
    assert hooks.seen == [EVENT.to_dict()]


@pytest.mark.parametrize(
    "target",
    ["", "tests.support.hooks", "tests.support.hooks:", "tests.support.hooks:absent", "no.such:thing", ":remember"],
)
def test_a_function_that_is_not_there_is_said_at_the_start(target: str) -> None:
    with pytest.raises(ConfigurationError, match=r"hooks\.python"):
        PythonHook(target)


def test_something_that_is_no_function_is_said_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="not a function"):
        PythonHook("tests.support.hooks:not_a_function")


def test_a_hook_that_fails_does_not_keep_the_next_event_from_it(receiver: Receiver) -> None:
    receiver.answers = [400]
    sink = BackgroundSink(WebhookHook(receiver.url, None, 1, system_clock))
    sink.send(EVENT)
    sink.send(EVENT)
    eventually(lambda: len(receiver.deliveries) == 2)
    sink.close()


def test_nobody_waits_for_a_hook_that_hangs() -> None:
    release = threading.Event()

    class Hangs:
        def send(self, event: News, /) -> None:
            release.wait()

    sink = BackgroundSink(Hangs())
    started = time.monotonic()
    for _ in range(5_000):
        sink.send(EVENT)
    sink.close(timeout=0.1)
    assert time.monotonic() - started < 10
    release.set()


def test_configured_hooks_are_independent_of_each_other(receiver: Receiver) -> None:
    hooks.seen.clear()
    dead = HookSettings(webhook_url=f"http://127.0.0.1:{free_port()}", webhook_attempts=1)
    live = HookSettings(python="tests.support.hooks:fail", webhook_url=receiver.url, webhook_secret=SecretStr(SECRET))
    sinks = [*hooks_from(dead, system_clock), *hooks_from(live, system_clock)]
    assert len(sinks) == 3
    for sink in sinks:
        sink.send(EVENT)
    for sink in sinks:
        sink.close()
    assert len(receiver.deliveries) == 1


def test_without_configured_hooks_there_are_none() -> None:
    assert hooks_from(HookSettings(), system_clock) == []
