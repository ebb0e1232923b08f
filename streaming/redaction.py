"""Masking secrets in everything that leaves the process: logs, topics, HTTP answers, messages, what is shown.

By key: the value of a key that names a secret (:func:`streaming.secret_keys.is_secret_key`) is always masked, in
settings and in text that reads like ``key=value``; so is the password in a URL, whoever wrote it.

By value: what was configured as a secret is masked wherever it turns up, in each spelling that JSON, URLs, HTML and
Java give it. So that a trivial password does not turn all text into asterisks, a value is not looked for if it

- has fewer than 4 characters, or is a number of fewer than 8 digits;
- is a word that settings are made of (``true``, ``none``), or the default of a setting that anybody may see
  (``features``).

One of fewer than 8 characters, or of digits alone, is looked for as a whole word.
"""

from __future__ import annotations

import html
import json
import re
import threading
from collections.abc import Collection, Iterable
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from streaming.secret_keys import ASSIGNED, URL_PASSWORD, URL_TOKEN, below, is_secret_key, is_webhook_key

MASK = "***"
_LEAST = 4
_PLENTY = 8
_COMMON = frozenset(["true", "false", "null", "none", "default", "auto", "enabled", "disabled"])
_NUMBER = re.compile(r"[\d.,+-]+")
_AUTHORIZATION = re.compile(r"(?i)(authorization\W{1,6}(?:bearer|basic)\s+)[^\s\"',]+")


class _Hidden:
    """The secrets of this process; they are added to, and looked up by every thread that writes."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self.pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        with self._guard:
            self._values |= frozenset(values)
            self.pattern = _pattern(self._values)

    def clear(self) -> None:
        with self._guard:
            self._values, self.pattern = frozenset(), None


_hidden = _Hidden()


def hide(secrets: Iterable[str], defaults: Collection[str] = ()) -> None:
    """Mask these values from now on, except those that would hide more than they protect.

    Args:
        secrets: What was configured, as it is.
        defaults: What anybody knows: a password equal to one of these is masked by its key alone.
    """
    _hidden.add(secret for secret in secrets if _is_distinctive(secret) and secret not in defaults)


def forget() -> None:
    """Mask by key alone again; for tests, which configure many processes' secrets in one."""
    _hidden.clear()


def redact(text: str) -> str:
    """Return ``text`` without secrets.

    >>> redact("GET https://user:pa@ss@host/path failed: password=x, -Djavax.net.ssl.trustStorePassword='y z'")
    "GET https://user:***@host/path failed: password=***, -Djavax.net.ssl.trustStorePassword='***'"
    """
    pattern = _hidden.pattern
    if pattern is not None:
        text = pattern.sub(MASK, text)
    text = URL_TOKEN.sub(rf"\1{MASK}@", URL_PASSWORD.sub(rf"\1{MASK}@", text))
    return _AUTHORIZATION.sub(rf"\1{MASK}", ASSIGNED.sub(_assigned, text))


def redact_tree(value: Any, key: str = "") -> Any:
    """Return a copy of nested mappings and lists in which every text is redacted, by its key too.

    >>> redact_tree({"sasl.password": 1234, "tracking_uri": "http://u:p@h", "partitions": [4]})
    {'sasl.password': '***', 'tracking_uri': 'http://u:***@h', 'partitions': [4]}
    """
    if isinstance(value, dict):
        return {name: redact_tree(item, below(key, name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_tree(item, key) for item in value]
    if value is None:
        return None
    if is_secret_key(key):
        return MASK
    if not isinstance(value, str):
        return value
    return redact(_without_path(value) if is_webhook_key(key) else value)


def _without_path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{MASK}" if parts.netloc else MASK


def _assigned(match: re.Match[str]) -> str:
    key, between, value = match.groups()
    if not is_secret_key(key):
        return match[0]
    edge = re.match(r"\\*[\"']?", value)
    quotes = edge[0] if edge else ""
    closing = quotes if quotes and len(value) > len(quotes) and value.endswith(quotes) else ""
    return f"{key}{between}{quotes}{MASK}{closing}"


def _is_distinctive(secret: str) -> bool:
    if len(secret) < _LEAST or secret.lower() in _COMMON or not secret.strip("* "):
        return False
    return len(secret) >= _PLENTY or not _NUMBER.fullmatch(secret)


def _pattern(values: Iterable[str]) -> re.Pattern[str] | None:
    spelled = {spelling: _is_short(value) for value in values for spelling in _spellings(value)}
    longest_first = sorted(spelled, key=lambda spelling: (-len(spelling), spelling))
    parts = [_word(text) if spelled[text] else re.escape(text) for text in longest_first]
    return re.compile("|".join(parts)) if parts else None


def _spellings(value: str) -> set[str]:
    once = json.dumps(value)[1:-1]
    return {
        value,
        once,
        json.dumps(once)[1:-1],  # a line of JSON in a line of JSON
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        html.escape(value),
    }


def _is_short(value: str) -> bool:
    return len(value) < _PLENTY or bool(_NUMBER.fullmatch(value))


def _word(text: str) -> str:
    return rf"(?<![A-Za-z0-9]){re.escape(text)}(?![A-Za-z0-9])"
