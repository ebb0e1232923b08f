"""Telling files of JSON lines from others, as far as their beginning shows."""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path

from streaming.compressed import BYTE_ORDER_MARK, open_bytes
from streaming.errors import ConfigurationError

_MOST_BYTES = 1024 * 1024
"""A line that is longer is looked at no further."""
_ARRAY = re.compile(rb"\[\s*(\{|$)")


def refuse_document(path: Path) -> None:
    """Refuse a file that is one JSON array of objects, or one object over several lines: by lines it would fall apart.

    What else is wrong with a line is the line's own fault.

    Raises:
        ConfigurationError: it is one, or it cannot be read.
    """
    try:
        with open_bytes(path) as stream:
            lines = iter(lambda: stream.readline(_MOST_BYTES), b"")
            begin = list(islice((text for line in lines if (text := _bare(line))), 2))
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be read: {problem}") from problem
    if not begin:
        return
    if _ARRAY.match(begin[0]) and _is_whole(begin[0]) == (len(begin) == 1):
        raise ConfigurationError(_refusal(path, "a JSON array", ".[]"))
    if begin[0] == b"{" and len(begin) > 1:
        raise ConfigurationError(_refusal(path, "a JSON object over several lines", "."))


def _bare(line: bytes) -> bytes:
    return line.removeprefix(BYTE_ORDER_MARK).strip()


def _is_whole(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _refusal(path: Path, likeness: str, query: str) -> str:
    return (
        f"{path} looks like {likeness} and not like JSON lines, which have one object on each line; write it so"
        f" first, as `jq -c '{query}' {path}` does"
    )
