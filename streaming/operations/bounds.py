"""How long and how large a request may be: a client that is slow, or never ends, must not hold a connection."""

from __future__ import annotations

import asyncio

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_SECONDS = 15.0
"""The time that a connection or a request may take to its last byte; then the connection is closed."""
BODY_SECONDS = 10.0
"""The time from a request's headers to the end of its body; then the answer is 408."""


MOST_HEAD_BYTES = 65_536
"""The length of a request's first line and headers; a longer head is answered with 400."""


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with bounds on a request's time and length; by itself it would wait for ever."""

    _patience: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head_bytes = 0
    _is_incomplete = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a request, not longer for each of its parts; what comes after it is another one."""
        # Whatever comes before a request is whole, such as blank lines, may go on for ever, too.
        self._is_incomplete = True
        goes_on = self._is_in_head
        super().data_received(data)
        # What stands before a head in the data belongs to another request.
        if self._is_in_head and goes_on:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The request's headers are too long.")
        if self._is_incomplete:
            self._wait()

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._is_incomplete = self._is_in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Note that a request's body begins."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that a request is whole."""
        super().on_message_complete()
        self._is_incomplete = False
        self._wait_no_more()

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


async def read_body(request: Request, most: int) -> bytes:
    """Return a request's body of up to ``most`` bytes.

    Raises:
        HTTPException: 413, it is larger; 408, it does not come.
    """
    try:
        return await asyncio.wait_for(_read(request, most), BODY_SECONDS)
    except (asyncio.TimeoutError, ClientDisconnect) as problem:
        raise HTTPException(
            408, f"the body did not come within {BODY_SECONDS:g} s", {"Connection": "close"}
        ) from problem


async def _read(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, f"more than {most} bytes", {"Connection": "close"})
    return bytes(body)
