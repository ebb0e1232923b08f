"""Who may ask, and how often: what a request brings for it, and the caller that this names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from streaming.serving.keys import ApiKeys
from streaming.serving.problems import ProblemError
from streaming.serving.rates import CallerRates

_HINT = "send a key as Authorization: Bearer or X-API-Key; the server's operator gives them out"


class Tokens(Protocol):
    """Signed tokens, which name their caller themselves."""

    def caller(self, token: str) -> str:
        """Return whom a token names.

        Raises:
            ProblemError: 401, it is not valid; 403, it does not allow to ask this server.
        """
        ...


@dataclass(frozen=True)
class Admission:
    """Lets callers in by keys or tokens; where there are neither, everyone."""

    keys: ApiKeys = field(default_factory=ApiKeys)
    tokens: Tokens | None = None
    rates: CallerRates | None = None

    @property
    def asks(self) -> bool:
        """True if a caller has to bring something."""
        return bool(self.keys.names) or self.tokens is not None

    def admit(self, headers: Mapping[str, str], client: str) -> str:
        """Return the caller's name.

        Args:
            headers: by their names in lower case.
            client: the address that the request came from, which is the name of whoever has no other.

        Raises:
            ProblemError: 401, 403 or 429.
        """
        caller = self._caller(headers) if self.asks else client
        wait = self.rates.wait(caller) if self.rates is not None else 0.0
        if wait:
            raise ProblemError(
                429,
                "rate-limited",
                "this caller has sent more requests than serve.rate_per_second and serve.rate_burst allow; send fewer",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        return caller

    def _caller(self, headers: Mapping[str, str]) -> str:
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        bearer = credentials.strip() if scheme.lower() == "bearer" else ""
        # No key that we know of has the form of a token: its hash would have to be that of a key, too.
        if self.tokens is not None and bearer.count(".") == 2:
            return self.tokens.caller(bearer)
        caller = self.keys.caller(bearer or headers.get("x-api-key", ""))
        if caller is None:
            raise refused(_HINT)
        return caller


def refused(detail: str, error: str = "") -> ProblemError:
    """Return the problem of a caller that is not known; ``error`` is one of RFC 6750's."""
    challenge = f'Bearer error="{error}"' if error else "Bearer"
    return ProblemError(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
