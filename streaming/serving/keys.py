"""Who may score: callers with a key of which the server knows the hash."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streaming.errors import ConfigurationError

_HASH = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class ApiKeys:
    """SHA-256 of each key, in hex, to its caller's name, which may be empty."""

    names: Mapping[str, str] = field(default_factory=dict)

    def caller(self, key: str) -> str | None:
        """Return whose key it is, by the beginning of its hash if it has no name; ``None`` if it is nobody's."""
        # A header's bytes come as Latin-1, whatever they are.
        own = hashlib.sha256(key.encode("latin-1")).hexdigest()
        # All are compared, so that the time does not tell which one it was.
        matches = [hmac.compare_digest(own, digest) for digest in self.names]
        return (self.names[own] or f"key-{own[:8]}") if any(matches) else None


def hashed(key: str) -> str:
    """Return a key's SHA-256, in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> dict[str, str]:
    """Return the hashes in a file, one a line, and the name behind each, empty if there is none.

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
    names = {parts[0].lower(): " ".join(parts[1:]) for parts in entries.values() if parts}
    if not names:
        raise ConfigurationError(f"serve.api_keys_file {path} has no key; add one, or leave the setting out")
    return names
