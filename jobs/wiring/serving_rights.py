"""Who may ask a server, put together from the settings: keys, tokens, rates, and the certificate that it shows."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx

from streaming.errors import ConfigurationError
from streaming.operations.admin import is_loopback
from streaming.serving.admission import Admission, Tokens
from streaming.serving.keys import ApiKeys, hashed, read_keys
from streaming.serving.rates import CallerRates
from streaming.settings import JwtSettings, ServeSettings, Settings

_JWKS_SECONDS = 5.0


def admission(settings: Settings, keys: ApiKeys, stack: ExitStack) -> Admission:
    """Return who may ask, and how often; ``stack`` ends what looks after the public keys of tokens.

    Raises:
        ConfigurationError: those keys cannot be read, or the library for them is not installed.
    """
    serve = settings.serve
    rates = CallerRates(serve.rate_per_second, serve.rate_burst) if serve.rate_per_second else None
    return Admission(keys, _tokens(serve.jwt, settings.model.name, stack) if serve.jwt else None, rates)


def require_keys(serve: ServeSettings, keys: ApiKeys) -> None:
    """Raise ``ConfigurationError`` if strangers could score, and nobody said that they may."""
    if not (keys.names or serve.jwt or serve.open or is_loopback(serve.host)):
        raise ConfigurationError(
            f"serve.host is {serve.host}, which others reach, and no key is asked for; set serve.api_key,"
            " serve.api_keys_file or serve.jwt, or serve.open: true to answer everyone"
        )


def api_keys(serve: ServeSettings) -> ApiKeys:
    """Return the keys of the settings and of the file that they name; raises ``ConfigurationError`` for a bad file."""
    own = {hashed(serve.api_key.get_secret_value()): ""} if serve.api_key else {}
    return ApiKeys({**own, **(read_keys(serve.api_keys_file) if serve.api_keys_file else {})})


def _tokens(rules: JwtSettings, model: str, stack: ExitStack) -> Tokens:
    try:
        from streaming.serving.tokens import PublicKeys, SignedTokens
    except ImportError as problem:
        raise ConfigurationError(f'serve.jwt needs a library ({problem}): pip install "penstock[jwt]"') from None
    try:
        keys = PublicKeys(_reader(rules), rules.refresh_seconds)
    except (OSError, ValueError) as problem:
        source = rules.jwks_file or rules.jwks_url
        raise ConfigurationError(
            f"the public keys of serve.jwt, {source}, cannot be used ({problem}); name the provider's JWKS document"
        ) from None
    stack.callback(keys.stop)
    return SignedTokens(rules, model, keys)


def _reader(rules: JwtSettings) -> Callable[[], bytes]:
    return rules.jwks_file.read_bytes if rules.jwks_file else partial(_fetched, rules.jwks_url or "")


def _fetched(url: str) -> bytes:
    try:
        return httpx.get(url, timeout=_JWKS_SECONDS).raise_for_status().content
    except httpx.HTTPError as problem:
        raise OSError(str(problem)) from problem


def certificate(serve: ServeSettings) -> tuple[Path, Path] | None:
    """Return the files of TLS, if any; raises ``ConfigurationError`` if they are not a certificate and its key."""
    if serve.tls_cert_file is None or serve.tls_key_file is None:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # Tried here, where a message can name the settings. Without a password, OpenSSL would ask the terminal for one.
        context.load_cert_chain(serve.tls_cert_file, serve.tls_key_file, password="")
    except (OSError, ssl.SSLError) as problem:
        raise ConfigurationError(
            f"serve.tls_cert_file {serve.tls_cert_file} and serve.tls_key_file {serve.tls_key_file} cannot be used:"
            f" {problem}"
        ) from None
    return serve.tls_cert_file, serve.tls_key_file
