"""Masking secrets in what the HTTP endpoint answers: reasons and details quote what services said of failures."""

from __future__ import annotations

import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streaming.redaction import redact_tree


class RedactedAnswers:
    """ASGI middleware. JSON alone is looked at: the metrics are numbers, and names that are no secrets."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back when it is whole."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        await self._app(scope, receive, answer.take)


class _Answer:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_json(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        if self._body:  # there is none in the answer to a HEAD
            body = json.dumps(redact_tree(json.loads(self._body)), separators=(",", ":"), ensure_ascii=False).encode()
            headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
            start = {**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
            self._body = bytearray(body)
        await self._send(start)
        await self._send({"type": "http.response.body", "body": bytes(self._body)})


def _is_json(start: Message) -> bool:
    return any(name.lower() == b"content-type" and b"json" in value for name, value in start.get("headers", []))
