"""The section ``lookup.redis``: a Redis server, or a cluster of them, whose values are looked up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from streaming.settings.base import Seconds, Secret, Section

_ADDRESS = re.compile(r"rediss?://([^\s/@]*@)?(\[[0-9A-Fa-f:]+\]|[^\s/@:]+)(:\d{1,5})?(/\d{0,4})?")


class RedisSettings(Section):
    """Where columns are looked up in the place of a topic; needs the extra ``redis``."""

    url: str
    """``redis://host:port/database``, or ``rediss://`` for TLS. Of a cluster, one of its servers."""
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None
    """Certificates that sign the server's, in PEM; ``None``: those of the system."""
    client_cert_file: Path | None = None
    """The job's own certificate, if the server asks for one, with ``client_key_file``."""
    client_key_file: Path | None = None
    cluster: bool = False
    """True if the server is one of a Redis cluster."""
    prefix: str = ""
    """What the store's keys have before the looked-up key."""
    time_field: str = "updated_at"
    """The field of a value that says when it was written: RFC 3339, or milliseconds since 1970."""
    timeout_seconds: Seconds = 0.5
    """The longest wait for a connection, and for an answer; each is tried twice."""
    cache_seconds: Annotated[float, Field(ge=0)] = 1.0
    """For so long, a worker does not ask for a key again; 0: every batch asks."""

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if not _ADDRESS.fullmatch(url):
            raise ValueError("must be redis://host:port/database, or rediss://host:port/database for TLS")
        return url

    @model_validator(mode="after")
    def _has_what_tls_needs(self) -> RedisSettings:
        files = (self.ca_file, self.client_cert_file, self.client_key_file)
        if any(files) and not self.url.startswith("rediss://"):
            raise ValueError("lookup.redis has files for TLS, and its url is not rediss://; correct one of them")
        if (self.client_cert_file is None) != (self.client_key_file is None):
            raise ValueError("lookup.redis.client_cert_file and client_key_file go together; set both or neither")
        return self
