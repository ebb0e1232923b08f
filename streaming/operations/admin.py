"""What an operator may ask of a running job over HTTP: stop, resume after a pause, put a version on hold.

Without a token the routes are there on a loopback address alone; elsewhere they answer 404 like any unknown path.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from streaming.errors import ModelNotFoundError
from streaming.models.ref import ModelKey
from streaming.operations.bounds import read_body

_MAX_BODY_BYTES = 16_384
_LARGEST_VERSION = 2**31 - 1
"""MLflow's databases number versions by 32 bits."""


class Hold(BaseModel):
    """The body of ``POST /v1/hold``."""

    # Strict, or true would be version 1.
    model_config = ConfigDict(extra="forbid", strict=True)

    version: int = Field(gt=0, le=_LARGEST_VERSION)
    reason: str = Field(min_length=1, max_length=1_000)
    model: str | None = None
    """Needed where the job has many models."""


@dataclass(frozen=True)
class Controls:
    """What the routes do; ``model`` is the one whose versions ``hold`` is asked for, empty where a job has many.

    ``resume`` says whether anything was paused, ``active`` whether this driver has the lease. ``hold`` returns what the
    operator should know beside, and raises ``ModelNotFoundError`` for a version that is not there.
    """

    model: str
    stop: Callable[[], None]
    resume: Callable[[], bool]
    hold: Callable[[ModelKey, str], str]
    active: Callable[[], bool]


@dataclass(frozen=True)
class Access:
    """Access to the routes: for the holder of ``token``; without a token for everyone, if ``host`` is loopback."""

    host: str
    token: str | None = None

    @property
    def possible(self) -> bool:
        """True if the routes exist.

        >>> Access("127.0.0.1").possible, Access("0.0.0.0").possible, Access("0.0.0.0", "secret").possible
        (True, False, True)
        """
        return self.token is not None or is_loopback(self.host)

    def refusal(self, headers: Mapping[str, str]) -> JSONResponse | None:
        """Return the answer to a request that may not pass; ``headers`` have names in lower case."""
        if (
            "origin" in headers
        ):  # only browsers send it: a page that somebody on this machine looks at must not stop jobs
            return JSONResponse({"detail": "not from a web page"}, 403)
        if self.token is None:
            return None
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(credentials.strip().encode(), self.token.encode()):
            return None
        return JSONResponse({"detail": "http.admin_token is needed"}, 401, {"WWW-Authenticate": "Bearer"})


def add_admin_routes(app: FastAPI, controls: Controls, access: Access) -> None:
    """Add the routes, unless ``access`` forbids all use of them."""
    if not access.possible:
        return

    @app.post("/v1/stop")
    def stop(request: Request) -> JSONResponse:
        refused = access.refusal(request.headers)
        if refused is None:
            controls.stop()
        return refused or JSONResponse({"detail": "stopping after the batch in progress"}, 202)

    @app.post("/v1/resume")
    def resume(request: Request) -> JSONResponse:
        refused = access.refusal(request.headers)
        if refused is not None:
            return refused
        if controls.resume():
            return JSONResponse({"detail": "resumed"})
        return JSONResponse({"detail": "nothing is paused"}, 409)

    @app.post("/v1/hold")
    async def hold(request: Request) -> JSONResponse:
        return access.refusal(request.headers) or await _hold(request, controls)


async def _hold(request: Request, controls: Controls) -> JSONResponse:
    body = await read_body(request, _MAX_BODY_BYTES)
    try:
        asked = Hold.model_validate_json(body)
    except ValidationError:
        return JSONResponse({"detail": 'the body must be {"version": 7, "reason": "why"}'}, 422)
    model = asked.model or controls.model
    if not model or controls.model not in ("", model):
        return JSONResponse({"detail": f"model must be {controls.model or 'that whose version is meant'}"}, 422)
    if not controls.active():
        return JSONResponse({"detail": "this driver stands by; ask the one that holds the lease"}, 409)
    try:
        # The registry is asked for the version, which must not block the probes.
        beside = await run_in_threadpool(controls.hold, ModelKey(model, asked.version), asked.reason)
    except ModelNotFoundError as problem:
        return JSONResponse({"detail": f"nothing is on hold: {problem}"}, 422)
    return JSONResponse({"detail": "; ".join(filter(None, [f"version {asked.version} is on hold", beside]))})


def is_loopback(host: str) -> bool:
    """Return whether a listener on ``host`` is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
