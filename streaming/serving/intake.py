"""What a request brings, within bounds: its body, and the events in it as bytes that nobody has touched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.types import Message

from streaming.serving.problems import ProblemError

JSON = "application/json"
_BLANKS = b" \t\n\r"
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass
class Intake:
    """Reads bodies.

    A caller that sends slowly holds no request's place: only bodies that are whole count among ``max_in_flight``, and
    those that are not may have half of ``max_in_flight_bytes``.
    """

    max_body_bytes: int
    max_in_flight_bytes: int
    max_rows: int
    max_in_flight: int
    held: int = 0
    """Bytes of the bodies that are being answered."""
    arriving: int = 0
    """Bytes of those that are not whole."""
    in_flight: int = 0
    """Requests with a whole body that are being answered."""

    @asynccontextmanager
    async def body(self, request: Request, types: Collection[str] = (JSON,)) -> AsyncIterator[bytes]:
        """Yield a request's body, which counts among those in flight until the block ends.

        Raises:
            ProblemError: 413, 415 or 429; 400 if it breaks off.
        """
        require_type(request, types)
        _require_no_coding(request)
        body = await self._whole(request)
        self.held += len(body)
        self.in_flight += 1
        try:
            self._check_in_flight()
            yield body
        finally:
            self.held -= len(body)
            self.in_flight -= 1

    async def _whole(self, request: Request) -> bytes:
        body, counted = bytearray(), 0
        try:
            while True:
                message = await request.receive()
                body += _chunk(message)
                if len(body) > self.max_body_bytes:
                    raise too_large(f"the body has more than {self.max_body_bytes} bytes (serve.max_body_bytes)")
                if not message.get("more_body"):
                    return bytes(body)
                self.arriving += len(body) - counted
                counted = len(body)
                if self.arriving > self.max_in_flight_bytes // 2:
                    raise too_busy("the bodies that are not whole have more than half of serve.max_in_flight_bytes")
        finally:
            self.arriving -= counted

    def _check_in_flight(self) -> None:
        if self.in_flight > self.max_in_flight:
            raise too_busy(f"{self.max_in_flight} requests are in flight (serve.max_in_flight)")
        if self.held + self.arriving > self.max_in_flight_bytes:
            raise too_busy("the bodies of the requests in flight are larger than serve.max_in_flight_bytes")

    def check_rows(self, rows: int) -> None:
        """Raise ``ProblemError``, 413, for too many events."""
        if rows > self.max_rows:
            raise too_large(f"it has {rows} events, more than serve.max_rows, which is {self.max_rows}; send fewer")


def _chunk(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ProblemError(400, "bad-request", "the body broke off; send it whole")
    chunk: bytes = message.get("body", b"")
    return chunk


def require_type(request: Request, types: Collection[str]) -> None:
    """Raise ``ProblemError``, 415, if the body is none of ``types``, in UTF-8."""
    content_type = request.headers.get("content-type", "")
    parameters = content_type.partition(";")[2].strip().lower().replace('"', "")
    if media_type_of(request) not in types or parameters not in ("", "charset=utf-8"):
        raise ProblemError(
            415, "media-type", f"Content-Type is {content_type[:100]!r}; send {' or '.join(sorted(types))}, in UTF-8"
        )


def _require_no_coding(request: Request) -> None:
    # A few compressed bytes may hold more than any bound, and to find out is work that nobody has admitted.
    codings = ", ".join(request.headers.getlist("content-encoding")).strip().lower()
    if codings not in ("", "identity"):
        raise ProblemError(
            415,
            "content-coding",
            f"Content-Encoding is {codings[:100]!r}; send the body as it is, without compression",
            headers={"Accept-Encoding": "identity"},
        )


def media_type_of(request: Request) -> str:
    """Return the media type of a request's body, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def events_in(body: bytes) -> Sequence[bytes] | None:
    """Return the events of a JSON list, each as the bytes that it has there; ``None`` if the body is no list.

    Whether an event is strict JSON is the decoder's to say, so a body that is no list is an event, whatever it is.

    Raises:
        ProblemError: 400; the list cannot be taken apart.
    """
    if not body.lstrip(_BLANKS).startswith(b"["):
        return None
    try:
        return [bytes(event) for event in _RAW_LIST.decode(body)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise ProblemError(400, "bad-request", f"the body is no JSON list of events: {problem}") from None


def too_busy(detail: str) -> ProblemError:
    """Return the problem of a request that comes on top of too many."""
    return ProblemError(429, "too-busy", f"{detail}; try again later", headers={"Retry-After": "1"})


def too_large(detail: str) -> ProblemError:
    """Return the problem of a request that is too large."""
    # What is left of the body is not read, so the connection cannot be used again.
    return ProblemError(413, "too-large", detail, headers={"Connection": "close"})
