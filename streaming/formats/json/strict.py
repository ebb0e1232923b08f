"""A strict JSON reader: Python's own parser, which takes too much, made strict."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 100
"""Levels of objects and arrays, the event itself included."""
MAX_DIGITS = 1_000
"""Digits of a number, a leading zero and the exponent left out."""
MAX_NAME = 50_000
"""Characters of a field's name."""
MAX_STRING = 20_000_000
"""Characters of a string."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class NotJsonError(Exception):
    """The text is not strict JSON."""


@dataclass(frozen=True)
class Number:
    """A number as it was written; what it is depends on the column that asks."""

    text: str

    @property
    def is_whole(self) -> bool:
        """True if the number is written without a point and without an exponent."""
        return not set(self.text) & set(".eE")


def strict_json(text: str) -> Any:
    """Read one JSON value, its numbers as :class:`Number`.

    Raises:
        NotJsonError: what RFC 8259 does not allow, a name twice in an object, half of a surrogate pair, or more than
            the limits above.
    """
    if depth(text) > MAX_DEPTH:
        raise NotJsonError("too deep")
    try:
        document = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_number, parse_float=_number
        )
        _check_strings(document)
    except ValueError as problem:
        raise NotJsonError(str(problem)) from problem
    return document


def depth(text: str) -> int:
    """Count the levels of objects and arrays."""
    deepest = level = 0
    # A bracket inside a string opens nothing.
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        level += 1 if bracket in "[{" else -1
        deepest = max(deepest, level)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name twice")
    return members


def _constant(token: str) -> None:
    raise ValueError(f"{token} is not JSON")


def _number(text: str) -> Number:
    digits = re.sub(r"^-?0\.|[eE].*|[-.]", "", text)
    if len(digits) > MAX_DIGITS:
        raise ValueError("a number is too long")
    return Number(text)


def _check_strings(document: Any) -> None:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if any(len(name) > MAX_NAME for name in value):
                raise ValueError("a name is too long")
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            if len(value) > MAX_STRING:
                raise ValueError("a string is too long")
            value.encode()  # throws on half of a surrogate pair
