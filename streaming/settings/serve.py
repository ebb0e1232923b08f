"""The section ``serve``: the scorer behind HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from streaming.settings.base import Port, Positive, Seconds, Secret, Section


class JwtSettings(Section):
    """Tokens that an identity provider signs; needs the extra ``jwt``."""

    jwks_file: Path | None = None
    """The provider's public keys (RFC 7517)."""
    jwks_url: str | None = None
    """Where they are, in the place of a file; ``https``, or on this machine."""
    issuer: str
    """What the claim ``iss`` must be."""
    audience: str
    """What the claim ``aud`` must have."""
    scope: str = "penstock:score"
    """What the claim ``scope`` or ``scp`` must have."""
    models_claim: str = "models"
    """The claim that lists the models that the caller may ask, ``*`` for all; a token without it may ask any."""
    refresh_seconds: Seconds = 300.0
    """From one look at the keys to the next; a token with an unknown key makes it sooner."""

    @model_validator(mode="after")
    def _has_one_source(self) -> JwtSettings:
        if (self.jwks_file is None) == (self.jwks_url is None):
            raise ValueError("set one of serve.jwt.jwks_file and serve.jwt.jwks_url")
        if self.jwks_url and not self.jwks_url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise ValueError("serve.jwt.jwks_url must begin with https://, or be on this machine")
        return self


class ServeSettings(Section):
    """What ``penstock serve`` listens on, whom it answers, and how much it takes."""

    host: str = "127.0.0.1"
    port: Port = 8090
    """0 takes a free port and logs it."""
    processes: Annotated[int, Field(ge=1, le=256)] = 1
    """How many share the port; each uses one core, follows the registry and has limits of its own."""
    open: bool = False
    """Lets everyone who reaches a host that is not loopback score; without it, such a host needs keys."""
    api_key: Secret | None = None
    """A key that callers send as a bearer token or as ``X-API-Key``; usually ``${VARIABLE}``."""
    api_keys_file: Path | None = None
    """Further keys, by their SHA-256 in hex, one a line; a name may follow. ``#`` begins a comment."""
    jwt: JwtSettings | None = None
    """Tokens are taken beside keys."""
    rate_per_second: Annotated[float, Field(gt=0)] | None = None
    """Requests of one caller to each process; ``null`` sets no limit."""
    rate_burst: Annotated[float, Field(ge=1)] = 100.0
    """Requests of one caller at once, after a pause."""
    audit: bool = False
    """Logs each request but those of probes, with its caller."""
    spark: bool = False
    """Scores versions without a compiled form by a Spark session in the server's process; needs Java."""
    rollout: bool = False
    """Follows the application's rollout by the ledger, and answers a part of the events by its candidate."""
    shadow: bool = False
    """Has the version of the rollout that did not answer an event of ``/v1/score`` score it, too, after the answer, and
    writes both to ``output.shadow``, at most once."""
    log: bool = False
    """Writes each answer of ``/v1/score`` to ``output.served``, after it was given and at most once."""
    log_max_bytes: Positive = 64 * 1024 * 1024
    """Events and answers that wait to be written, or for the shadow; what comes on top is counted and left out."""
    tls_cert_file: Path | None = None
    """The certificate chain, PEM; with ``tls_key_file`` the server speaks HTTPS alone."""
    tls_key_file: Path | None = None
    max_body_bytes: Positive = 4 * 1024 * 1024
    max_rows: Positive = 10_000
    """Events of one request."""
    max_in_flight: Positive = 256
    """Requests that are answered at a time; more get 429."""
    max_in_flight_bytes: Positive = 64 * 1024 * 1024
    """Bytes of the bodies of these requests together."""
    timeout_seconds: Seconds = 2.0
    """An event that has waited so long is not scored any more, and its request gets 503."""
    drain_seconds: Annotated[float, Field(ge=0)] = 2.0
    """From a request to stop to the end of listening: ``/ready`` is 503, and requests are still answered."""

    @model_validator(mode="after")
    def _has_arms_to_shadow(self) -> ServeSettings:
        if self.shadow and not self.rollout:
            raise ValueError("serve.shadow needs serve.rollout: true, by which the server knows the other version")
        return self

    @model_validator(mode="after")
    def _has_one_session(self) -> ServeSettings:
        if self.spark and self.processes > 1:
            raise ValueError(
                "serve.spark needs serve.processes 1: each process would have a JVM of its own; set one of them"
            )
        return self

    @model_validator(mode="after")
    def _has_both_halves_of_tls(self) -> ServeSettings:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("serve.tls_cert_file and serve.tls_key_file belong together; set both or neither")
        return self
