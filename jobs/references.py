"""References in a configuration's values: ``${VARIABLE}``, ``${file:/path}``, and ``file:/path`` for a secret.

In other values ``file:/path`` stays as it is, because Hadoop and Spark write their paths so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from streaming.errors import ConfigurationError
from streaming.settings import SECRET_KEYS

Tree = dict[str, object]
"""Nested settings, as YAML gives them."""

_REFERENCE = re.compile(r"\$?\$\{([^{}]+)\}")


def resolve(tree: Tree, variables: Mapping[str, str], source: str) -> Tree:
    """Return ``tree`` with every reference replaced; ``$${`` stands for the text ``${``.

    Raises:
        ConfigurationError: A variable is not set or a file cannot be read; the message names the key and ``source``.
    """
    return {key: _resolve_value(value, variables, source, key) for key, value in tree.items()}


def _resolve_value(value: object, variables: Mapping[str, str], source: str, key: str) -> object:
    if isinstance(value, dict):
        return resolve(value, variables, source)
    if isinstance(value, list):
        return [_resolve_value(item, variables, source, key) for item in value]
    if not isinstance(value, str):
        return value
    place = f"{key} ({source})"
    if value.startswith("file:") and any(part in str(key).lower() for part in SECRET_KEYS):
        return _read_file(value, place)
    return _REFERENCE.sub(lambda match: _replacement(match, variables, place), value)


def _replacement(match: re.Match[str], variables: Mapping[str, str], place: str) -> str:
    if match[0].startswith("$$"):
        return match[0][1:]
    name = match[1]
    if name.startswith("file:"):
        return _read_file(name, place)
    if name not in variables:
        raise ConfigurationError(
            f"{place} refers to the environment variable {name}, which is not set. "
            f"Set it, or write $${{{name}}} for the text itself."
        )
    return variables[name]


def _read_file(uri: str, place: str) -> str:
    path = Path(uri.removeprefix("file:").removeprefix("//"))
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(
            f"{place} refers to the file {path}, which cannot be read: {why}. "
            "Put the secret there, or correct the path."
        ) from error
