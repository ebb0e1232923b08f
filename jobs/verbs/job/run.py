"""Requests to a running job over its HTTP endpoint, which the configuration or a URL names."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from jobs.configuration.load import load_settings
from streaming.errors import ConfigurationError, PenstockError
from streaming.settings import HttpSettings

_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 5.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a job listens on, not we


def stop(config: Path | None, overrides: Sequence[str], url: str | None) -> None:
    """Ask the job to stop and wait until its endpoint is gone, which is the last thing that it closes.

    Raises:
        ConfigurationError: it cannot be asked: see :meth:`Endpoint.of`.
        PenstockError: nobody answers, it refuses, or it has not ended by ``engine.stop_seconds``.
    """
    settings = load_settings(config, overrides)
    endpoint = Endpoint.of(settings.http, url)
    endpoint.post("/v1/stop")
    deadline = time.monotonic() + settings.engine.stop_seconds + _GRACE_SECONDS
    # The endpoint is the last thing that a job closes, so its end is the end of the job.
    while endpoint.is_there():
        if time.monotonic() > deadline:
            raise PenstockError(
                f"the job at {endpoint.url} still answers after engine.stop_seconds ({settings.engine.stop_seconds:g});"
                " see its log. A second SIGTERM ends it at once, and loses nothing."
            )
        time.sleep(_POLL_SECONDS)


def resume(config: Path | None, overrides: Sequence[str], url: str | None) -> str:
    """Ask the job to continue after a pause and return its answer; raises as :func:`stop`."""
    return Endpoint.of(load_settings(config, overrides).http, url).post("/v1/resume")


def hold(config: Path | None, overrides: Sequence[str], url: str | None, version: int, reason: str) -> str:
    """Ask the job to put a version on hold, with a reason, and return its answer; raises as :func:`stop`."""
    body = {"version": version, "reason": reason}
    return Endpoint.of(load_settings(config, overrides).http, url).post("/v1/hold", body)


@dataclass(frozen=True)
class Endpoint:
    """A job's HTTP endpoint, and the token that it may ask for."""

    url: str
    token: str | None

    @classmethod
    def of(cls, http: HttpSettings, url: str | None) -> Endpoint:
        """Return the endpoint at ``url``, or else the one that the settings describe.

        Raises:
            ConfigurationError: the settings give the job no endpoint, or a port that only its log tells.
        """
        token = http.admin_token.get_secret_value() if http.admin_token else None
        if url is not None:
            return cls(url.rstrip("/"), token)
        if not http.enabled or http.port == 0:
            raise ConfigurationError(
                "the job has no endpoint that the settings name (http.enabled is false, or http.port is 0);"
                " give --url, or send the job SIGTERM to stop it"
            )
        host = _EVERY_ADDRESS.get(http.host, http.host)
        return cls(f"http://{f'[{host}]' if ':' in host else host}:{http.port}", token)

    def post(self, path: str, body: dict[str, Any] | None = None) -> str:
        """Post and return the answer's sentence.

        Raises:
            PenstockError: nobody answers there, or the job refuses.
        """
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            answer = httpx.post(self.url + path, json=body, headers=headers, timeout=_ANSWER_SECONDS, trust_env=False)
        except httpx.HTTPError as problem:
            raise PenstockError(
                f"no job answers at {self.url} ({problem or type(problem).__name__}); see whether it runs, or give its"
                " address with --url"
            ) from problem
        detail = _detail(answer)
        if answer.status_code == 404:
            raise PenstockError(
                f"the job at {self.url} accepts no requests: without http.admin_token it accepts them only on"
                " a loopback host"
            )
        if not answer.is_success:
            raise PenstockError(f"the job at {self.url} says {answer.status_code}: {detail}")
        return detail

    def is_there(self) -> bool:
        """Return whether the endpoint still listens."""
        try:
            httpx.get(self.url + "/livez", timeout=_ANSWER_SECONDS, trust_env=False)
        except httpx.TimeoutException:
            return True
        except httpx.TransportError:
            return False
        return True


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
