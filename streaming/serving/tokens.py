"""JSON Web Tokens (RFC 7519) as callers' rights, signed by an identity provider whose public keys are known.

Only asymmetric signatures are taken, and each by the algorithm of its key: a token cannot choose how it is checked.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import structlog

from streaming.serving.admission import refused
from streaming.serving.problems import ProblemError
from streaming.settings import JwtSettings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
_LEEWAY_SECONDS = 30
_MOST_REMEMBERED = 1_000
_SOONEST_SECONDS = 10.0
"""Between two looks for a key that is not known; a stranger must not make us ask the provider all the time."""


class PublicKeys:
    """A provider's keys (RFC 7517), read again from time to time by a thread of its own."""

    def __init__(self, read: Callable[[], bytes], seconds: float) -> None:
        """Read the keys for the first time.

        Args:
            read: returns the document; raises ``OSError`` or ``ValueError``.
            seconds: from one look to the next.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no set of keys, or has none that can be used.
        """
        self._read, self._seconds = read, seconds
        self.by_id = public_keys(read())
        self.generation = 0
        self._asked, self._ends = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="public-keys", daemon=True)
        self._thread.start()

    def look_soon(self) -> None:
        """Look again soon: a token names a key that is not known."""
        self._asked.set()

    def stop(self) -> None:
        """Look no more."""
        self._ends.set()
        self._asked.set()
        self._thread.join()

    def look(self) -> None:
        """Read the keys again; those that are known stay where that fails."""
        try:
            self.by_id = public_keys(self._read())
        except (OSError, ValueError) as problem:
            _log.warning("the public keys of serve.jwt cannot be read; the last ones are used", problem=str(problem))
        self.generation += 1

    def _run(self) -> None:
        while not self._ends.wait(_SOONEST_SECONDS):
            self._asked.wait(self._seconds)
            self._asked.clear()
            if not self._ends.is_set():
                self.look()


def public_keys(document: bytes) -> dict[str, jwt.PyJWK]:
    """Return the keys of a document that verify signatures, by their ids.

    Raises:
        ValueError: it is no set of keys, or has none of a known kind.
    """
    try:
        entries = json.loads(document)["keys"]
        # A shared secret would let everyone who can verify tokens sign them, too.
        usable = [entry for entry in entries if entry.get("kty") != "oct" and entry.get("use", "sig") == "sig"]
        keys = [jwt.PyJWK(entry) for entry in usable]
    except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise ValueError(f"it is no set of public keys: {problem}") from None
    by_id = {key.key_id or "": key for key in keys if key.algorithm_name in _ALGORITHMS}
    if not by_id:
        raise ValueError("it has no public key for signatures")
    return by_id


@dataclass
class SignedTokens:
    """A :class:`streaming.serving.admission.Tokens`.

    Attributes:
        rules: what a token must have.
        model: the model that is served, which a token may name among others or not at all.
        keys: the provider's.
        clock: seconds since 1970.
    """

    rules: JwtSettings
    model: str
    keys: PublicKeys
    clock: Callable[[], float] = time.time
    _remembered: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Tokens that were verified, whom they name and until when: to verify one takes longer than to score an event."""
    _generation: int = 0

    def caller(self, token: str) -> str:
        """Return whom a token names; see :meth:`streaming.serving.admission.Tokens.caller`."""
        if self._generation != self.keys.generation or len(self._remembered) >= _MOST_REMEMBERED:
            self._generation = self.keys.generation
            self._remembered.clear()
        caller, until = self._remembered.get(token, ("", 0.0))
        if self.clock() < until:
            return caller
        claims = self._claims(token)
        self._check_rights(claims)
        caller = str(claims.get("sub") or claims.get("client_id") or "unnamed")
        self._remembered[token] = (caller, float(claims["exp"]))
        return caller

    def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid"))
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm_name],
                audience=self.rules.audience,
                issuer=self.rules.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as problem:
            raise refused(f"the token is not valid: {problem}", "invalid_token") from None
        return claims

    def _key(self, key_id: Any) -> jwt.PyJWK:
        by_id = self.keys.by_id
        # A provider that has one key need not name it in its tokens.
        key = next(iter(by_id.values())) if key_id is None and len(by_id) == 1 else by_id.get(str(key_id))
        if key is None:
            self.keys.look_soon()
            raise ValueError("it is signed by a key that is not known")
        return key

    def _check_rights(self, claims: Mapping[str, Any]) -> None:
        if self.rules.scope not in _texts(claims.get("scope", claims.get("scp"))):
            raise _forbidden(f"the token has not the scope {self.rules.scope}")
        models = claims.get(self.rules.models_claim)
        if models is not None and not {self.model, "*"} & {*_texts(models)}:
            raise _forbidden(f"the token's claim {self.rules.models_claim} does not name the model {self.model}")


def _texts(claim: Any) -> list[str]:
    """Return the texts of a claim, which providers write as a list or with blanks between them."""
    texts = claim.split() if isinstance(claim, str) else claim
    return [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []


def _forbidden(detail: str) -> ProblemError:
    challenge = 'Bearer error="insufficient_scope"'
    return ProblemError(403, "forbidden", detail, headers={"WWW-Authenticate": challenge})
