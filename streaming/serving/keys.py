"""Who may score: callers with a key of which the server knows the hash."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streaming.errors import ConfigurationError

_HASH = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class ApiKeys:
    """SHA-256 of the keys, in hex; without one, nobody needs a key."""

    hashes: tuple[str, ...] = ()

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request brings a key, as ``Authorization: Bearer`` or ``X-API-Key``.

        Args:
            headers: by their names in lower case.
        """
        if not self.hashes:
            return True
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        key = credentials.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        # A header's bytes come as Latin-1, whatever they are.
        own = hashlib.sha256(key.encode("latin-1")).hexdigest()
        # All are compared, so that the time does not tell which one it was.
        matches = [hmac.compare_digest(own, digest) for digest in self.hashes]
        return any(matches)


def hashed(key: str) -> str:
    """Return a key's SHA-256, in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> tuple[str, ...]:
    """Return the hashes in a file: one a line, perhaps with a name behind it.

    Raises:
        ConfigurationError: it cannot be read, has a line that is something else, or no key.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(
            f"serve.api_keys_file {path} cannot be read: {why}. Correct the path or its permissions, or leave it out"
        ) from None
    entries = {number: line.split("#")[0].split() for number, line in enumerate(lines, 1)}
    for number, parts in entries.items():
        # Whatever the line has may be a key that was written there in error, so it is not repeated.
        if parts and not _HASH.fullmatch(parts[0]):
            raise ConfigurationError(
                f"serve.api_keys_file {path}, line {number}, does not begin with a SHA-256 in hex; write the output of:"
                " printf %s KEY | sha256sum"
            )
    hashes = tuple(parts[0].lower() for parts in entries.values() if parts)
    if not hashes:
        raise ConfigurationError(f"serve.api_keys_file {path} has no key; add one, or leave the setting out")
    return hashes
