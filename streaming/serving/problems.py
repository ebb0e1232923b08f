"""Problem documents (RFC 9457): what is wrong with a request, for machines and for people, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from schemas.dead_letter import Reason, Rejection, describe
from streaming.redaction import redact

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:penstock:problem:"
TITLES = {
    "bad-request": "The request cannot be read",
    "content-coding": "The content coding is not taken",
    "event-rejected": "The event is rejected",
    "forbidden": "Not allowed",
    "internal": "The server failed",
    "media-type": "The content type is not taken",
    "method": "The method is not allowed here",
    "no-lookup": "The lookup table cannot be read",
    "no-model": "No model version is loaded",
    "not-found": "There is no such resource",
    "rate-limited": "The caller has sent too many requests",
    "timeout": "The request was not answered in time",
    "too-busy": "The server is busy",
    "too-large": "The request is too large",
    "unauthorized": "A key is needed",
}
"""The kinds of problems, by the end of their type, with their titles."""
_KINDS = {400: "bad-request", 401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method", 408: "timeout"}
_KINDS |= {413: "too-large", 415: "media-type", 429: "too-busy"}


class ProblemError(Exception):
    """A request ends with a problem document."""

    def __init__(self, status: int, kind: str, detail: str, **members: Any) -> None:
        """Take what the document says.

        Args:
            status: HTTP's.
            kind: one of :data:`TITLES`.
            detail: what is wrong, and what to do.
            **members: further members of the document; ``headers`` are the answer's.
        """
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.headers: Mapping[str, str] | None = members.pop("headers", None)
        self.members = members

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """Return the answer."""
        document = {
            "type": _TYPE + self.kind,
            "title": TITLES[self.kind],
            "status": self.status,
            "detail": redact(str(self)),
            **self.members,
        }
        both = {**(self.headers or {}), **(headers or {})}
        return Response(msgspec.json.encode(document), self.status, both, MEDIA_TYPE)


def rejected(rejection: Rejection, **members: Any) -> ProblemError:
    """Return the problem of an event that the stream would make a dead letter of."""
    return ProblemError(422, "event-rejected", sentence(rejection), **rejection._asdict(), **members)


def sentence(rejection: Rejection) -> str:
    """Return the words of a dead letter for people."""
    return describe(Reason(rejection.reason), rejection.field)


def on_problem(request: Request, problem: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer what a handler raised on purpose."""
    assert isinstance(problem, ProblemError)  # noqa: S101 - Starlette calls it for nothing else
    return problem.response()


def on_http_exception(request: Request, problem: Exception) -> Response:
    """Answer what Starlette itself raises: no such path, another method, a body that is too large or late."""
    assert isinstance(problem, HTTPException)  # noqa: S101 - Starlette calls it for nothing else
    kind = _KINDS.get(problem.status_code, "bad-request")
    detail = f"{request.method} {request.url.path}: {problem.detail}; /openapi.json lists what there is"
    return ProblemError(problem.status_code, kind, detail).response(problem.headers)


def on_failure(request: Request, problem: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """Answer what nobody expected; Starlette raises it again afterwards, for the log."""
    return ProblemError(
        500, "internal", "this is a fault of the server; its log has it under the request id of this answer"
    ).response()
