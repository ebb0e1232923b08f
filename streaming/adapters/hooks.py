"""Telling others about swaps and drift: a user's Python function, an outgoing webhook. Neither can hold up the job."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any
from uuid import uuid4

import httpx
import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from streaming.clock import Clock
from streaming.errors import ConfigurationError
from streaming.settings import HookSettings
from streaming.signing import sign
from streaming.sinks import News, Sink

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ID_HEADER = "X-Penstock-Delivery-Id"
TIMESTAMP_HEADER = "X-Penstock-Timestamp"
SIGNATURE_HEADER = "X-Penstock-Signature"

_WAITING = 1000
_TIMEOUT_SECONDS = 10.0

HookFunction = Callable[[dict[str, Any]], object]


def _unique() -> str:
    return str(uuid4())


class PythonHook:
    """Calls ``package.module:function`` with each event as a dict."""

    def __init__(self, target: str) -> None:
        """Find the function.

        Raises:
            ConfigurationError: there is none by that name, or its module cannot be imported.
        """
        self._function = _find(target)

    def send(self, event: News, /) -> None:
        """Call the function; what it raises is the caller's to log."""
        self._function(dict(event.to_dict()))


class WebhookHook:
    """Posts each event as JSON, signed if there is a secret, and tries again while the receiver is in trouble."""

    def __init__(
        self, url: str, secret: str | None, attempts: int, clock: Clock, new_id: Callable[[], str] = _unique
    ) -> None:
        self._url = url
        self._new_id = new_id
        self._secret = secret
        self._clock = clock
        self._client = httpx.Client(timeout=_TIMEOUT_SECONDS)
        self._retrying = Retrying(
            stop=stop_after_attempt(attempts),
            wait=wait_random_exponential(multiplier=0.5, max=30.0),
            retry=retry_if_exception(_may_heal),
            before_sleep=_log_retry,
            reraise=True,
        )

    def send(self, event: News, /) -> None:
        """Deliver one event; every attempt carries the same delivery id, so the receiver can drop a second one.

        Raises:
            httpx.HTTPError: no attempt succeeded.
        """
        delivery, body = self._new_id(), event.to_json().encode()
        self._retrying(self._post, delivery, body)

    def _post(self, delivery: str, body: bytes) -> None:
        timestamp = str(int(self._clock().timestamp()))
        headers = {"content-type": "application/json", ID_HEADER: delivery, TIMESTAMP_HEADER: timestamp}
        if self._secret:
            headers[SIGNATURE_HEADER] = sign(self._secret, delivery, timestamp, body)
        self._client.post(self._url, content=body, headers=headers).raise_for_status()


class BackgroundSink:
    """Passes events to another sink from a thread of its own; when too many wait, new ones are dropped and logged."""

    def __init__(self, sink: Sink[News]) -> None:
        self._sink = sink
        self._waiting: queue.Queue[News | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name=f"hook-{type(sink).__name__}", daemon=True)
        self._thread.start()

    def send(self, event: News, /) -> None:
        """Queue one event and return at once."""
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            _log.error("event dropped, too many wait", hook=type(self._sink).__name__, type=event.to_dict()["type"])

    def close(self, timeout: float = 5.0) -> None:
        """Deliver what waits, for at most ``timeout`` seconds."""
        try:
            self._waiting.put(None, timeout=timeout)
        except queue.Full:
            return
        self._thread.join(timeout)

    def _run(self) -> None:
        while (event := self._waiting.get()) is not None:
            try:
                self._sink.send(event)
            except Exception:  # whatever a hook does, the next event gets its turn
                _log.exception("hook failed", hook=type(self._sink).__name__, type=event.to_dict()["type"])


def hooks_from(settings: HookSettings, clock: Clock) -> list[BackgroundSink]:
    """Return the configured hooks, each behind a thread of its own.

    Raises:
        ConfigurationError: the Python hook cannot be found.
    """
    sinks: list[Sink[News]] = []
    if settings.python:
        sinks.append(PythonHook(settings.python))
    if settings.webhook_url:
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
        sinks.append(WebhookHook(settings.webhook_url, secret, settings.webhook_attempts, clock))
    return [BackgroundSink(sink) for sink in sinks]


def _find(target: str) -> HookFunction:
    module, _, name = target.partition(":")
    try:
        function = getattr(import_module(module), name) if name else None
    except (ImportError, AttributeError, ValueError) as problem:
        raise ConfigurationError(f"hooks.python {target!r} cannot be imported: {problem}") from problem
    if not callable(function):
        raise ConfigurationError(f"hooks.python {target!r} is not a function; write package.module:function")
    return function  # type: ignore[no-any-return]  # what it returns is not used


def _may_heal(problem: BaseException) -> bool:
    """A receiver that answers 4xx will answer the same again, except when it asks for patience."""
    if isinstance(problem, httpx.HTTPStatusError):
        return problem.response.status_code >= 500 or problem.response.status_code in (408, 429)
    return isinstance(problem, httpx.TransportError)


def _log_retry(state: RetryCallState) -> None:
    problem = state.outcome.exception() if state.outcome else None
    _log.warning("webhook not delivered, trying again", attempt=state.attempt_number, problem=str(problem))
