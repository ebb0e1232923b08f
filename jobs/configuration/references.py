"""References in a configuration's values: ``${VARIABLE}``, ``${file:/path}``, and ``file:/path`` for a secret.

In other values ``file:/path`` stays as it is, because Hadoop and Spark write their paths so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from streaming.errors import ConfigurationError
from streaming.secret_keys import is_secret_key, is_webhook_key

Tree = dict[str, object]
"""Nested settings, as YAML gives them."""

_REFERENCE = re.compile(r"\$?\$\{([^{}]+)\}")


class References:
    """Replaces references; ``secrets`` are what came from files, and from variables that are called like secrets."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.secrets: set[str] = set()

    def resolve(self, tree: Tree, source: str) -> Tree:
        """Return ``tree`` with every reference replaced; ``$${`` stands for the text ``${``.

        Raises:
            ConfigurationError: A variable is not set or a file cannot be read; the message names key and ``source``.
        """
        return {key: self._value(value, source, key) for key, value in tree.items()}

    def _value(self, value: object, source: str, key: str) -> object:
        if isinstance(value, dict):
            return self.resolve(value, source)
        if isinstance(value, list):
            return [self._value(item, source, key) for item in value]
        if not isinstance(value, str):
            return value
        where = f"{key} ({source})"
        if value.startswith("file:") and (is_secret_key(str(key)) or is_webhook_key(str(key))):
            return self._read_file(value, where)
        return _REFERENCE.sub(lambda match: self._replacement(match, where), value)

    def _replacement(self, match: re.Match[str], location: str) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        name = match[1]
        if name.startswith("file:"):
            return self._read_file(name, location)
        if name not in self._variables:
            raise ConfigurationError(
                f"{location} refers to the environment variable {name}, which is not set. "
                f"Set it, or write $${{{name}}} for the text itself."
            )
        if is_secret_key(name):
            self.secrets.add(self._variables[name])
        return self._variables[name]

    def _read_file(self, uri: str, location: str) -> str:
        path = Path(uri.removeprefix("file:").removeprefix("//"))
        try:
            text = path.read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            raise ConfigurationError(
                f"{location} refers to the file {path}, which cannot be read: {error.strerror}. "
                "Put the secret there, or correct the path."
            ) from error
        except UnicodeDecodeError:
            raise ConfigurationError(
                f"{location} refers to the file {path}, which is not UTF-8 text. Put the secret there as text."
            ) from None
        self.secrets.add(text)
        return text
