"""The section ``serve``: the scorer behind HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from streaming.settings.base import Port, Positive, Seconds, Section


class ServeSettings(Section):
    """What ``penstock serve`` listens on, whom it answers, and how much it takes."""

    host: str = "127.0.0.1"
    port: Port = 8090
    """0 takes a free port and logs it."""
    open: bool = False
    """Lets everyone who reaches a host that is not loopback score; without it, such a host needs keys."""
    api_key: SecretStr | None = None
    """A key that callers send as a bearer token or as ``X-API-Key``; usually ``${VARIABLE}``."""
    api_keys_file: Path | None = None
    """Further keys, by their SHA-256 in hex, one a line; a name may follow. ``#`` begins a comment."""
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
    def _has_both_halves_of_tls(self) -> ServeSettings:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("serve.tls_cert_file and serve.tls_key_file belong together; set both or neither")
        return self
