"""What is a secret among settings: by the name of its key, and by where it stands in a text.

Dots, dashes, underscores and case make no difference in a key, so Kafka's, Spark's, Hadoop's, MLflow's and our own
names are held against one list.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

_WORDS = (
    *("password", "passwd", "passphrase", "secret", "jaas", "token", "credential", "authorization", "basic auth"),
    *("api key", "access key", "account key", "private key", "shared key", "encryption key", "signing key"),
    *("keystore key", "ssl key pem", "oauthbearer config", "user info", "connection string", "access signature"),
)
KEY_PATTERN = "|".join(word.replace(" ", "[._-]?") for word in _WORDS)
"""What a secret's key contains, in either case; Java reads it too."""
_OPEN_ENDINGS = (
    *("location", "file", "path", "dir", "url", "uri", "endpoint", "host", "port", "addr", "proto"),
    *("provider", "class", "type", "mechanism", "seconds", "ms"),
)
"""A key whose last part is one of these says where or of what kind: ``ssl.keystore.location``."""
_KEY = re.compile(KEY_PATTERN, re.IGNORECASE)
_WEBHOOK = "webhook_url"
"""Whoever has such an address may post to it: its path and query are the secret."""
_NAMED_BY_DATA = ("features", "columns", "risk", "parameters")
"""Settings whose keys are names in somebody's data: a column called ``token`` is none."""

URL_PASSWORD = re.compile(r"""(://[^\s/?#:@"'<>\[\\]{0,200}:)(?!\d{1,5}(?:[/?#\s"'\\]|$))([^\s"'<>\\]{1,500})@""")
"""Up to the last ``@``, as passwords may hold one; a port and a path are no password."""
URL_TOKEN = re.compile(r"""(\bhttps?://)([^\s/?#:@"'<>\[\\]{4,500})@""")
ASSIGNED = re.compile(
    r"""(?<![\w.\-])([\w.\-]{1,200})"""
    r"""(\\*["']?\s{0,3}=\s{0,3}|\\*["']:\s{0,3}|:(?!\s|//))"""
    r"""(\\+".*?\\+"|\\+'.*?\\+'|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s,;&"'<>)\]}\\]+)"""
)
"""``key=value``, ``key:value`` and ``"key": value``, as in JAAS, ``-D`` options, queries, JSON and Python."""


def is_secret_key(key: str) -> bool:
    """Return whether the values of a setting, variable or option of this name are secrets.

    >>> [is_secret_key(key) for key in ("sasl.password", "trustStorePassword", "fs.azure.account.key.x")]
    [True, True, True]
    >>> [is_secret_key(key) for key in ("ssl.keystore.location", "sasl.oauthbearer.token.endpoint.url", "event.key")]
    [False, False, False]
    """
    return bool(_KEY.search(key)) and re.split(r"[._-]", key.lower())[-1] not in _OPEN_ENDINGS


def is_webhook_key(key: str) -> bool:
    """Return whether a setting is an address that only its receiver may know."""
    return key.lower().endswith(_WEBHOOK)


def below(key: str, name: object) -> str:
    """Return by which key the value at ``name`` in the mapping at ``key`` is judged."""
    if is_secret_key(key):
        return key
    return "" if key in _NAMED_BY_DATA else str(name)


def secrets_in(value: object, key: str = "") -> Iterator[str]:
    """Yield every secret in settings as YAML gives them; ``key`` is where ``value`` stands."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from secrets_in(item, below(key, name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secrets_in(item, key)
    elif value is not None:
        yield from _secrets_of(str(value), key)


def open_values_in(value: object, key: str = "") -> Iterator[str]:
    """Yield every value that anybody may see, as text."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from open_values_in(item, below(key, name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from open_values_in(item, key)
    elif value is not None and not is_secret_key(key):
        yield str(value)


def _secrets_of(text: str, key: str) -> Iterator[str]:
    if is_secret_key(key):
        yield text
        # Logs and errors break a key in PEM into lines.
        yield from (line for line in map(str.strip, text.splitlines()) if len(line) >= 16 and "-----" not in line)
    if is_webhook_key(key):
        yield from _webhook_secrets(text)
    for before, password in URL_PASSWORD.findall(text):
        yield from (password, unquote(password))
        user = unquote(before[3:-1])
        yield b64encode(f"{user}:{unquote(password)}".encode()).decode()  # as HTTP sends it
    yield from (token for _, token in URL_TOKEN.findall(text))
    for name, _, quoted in ASSIGNED.findall(text):
        if is_secret_key(name):
            inner = quoted.strip("\\").strip("\"'").rstrip("\\")
            yield from (inner, re.sub(r"\\(.)", r"\1", inner))


def _webhook_secrets(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    if len(parts.path) > 1 or parts.query:
        yield parts.path
        yield f"{parts.path}?{parts.query}"
        last = parts.path.rpartition("/")[2]
        if len(last) >= 16:
            yield last
    yield from (value for _, value in parse_qsl(parts.query))
