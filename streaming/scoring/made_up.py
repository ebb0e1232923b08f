"""An event to try a pipeline with where there is no real one: what its stages say that they take, else zeros."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streaming.models.seams import Guard
from streaming.models.signature import Column, Signature

_ZERO: dict[str, Any] = {"double": 0.0, "float": 0.0, "long": 0, "integer": 0, "boolean": False, "string": ""}


def made_up_event(signature: Signature, guards: Iterable[Guard]) -> dict[str, Any]:
    """Return a value for each column of the signature: one that all of its guards allow, if they name one."""
    rules = tuple(guards)
    return {
        column.name: _value(column, [rule for rule in rules if rule.column == column.name])
        for column in signature.columns
    }


def _value(column: Column, rules: list[Guard]) -> Any:
    zero = _ZERO[column.type]
    if column.length is not None:
        return [zero] * column.length
    for example in (*(example for rule in rules for example in rule.examples()), zero):
        value = _typed(column, example)
        if value is not None and all(rule.allows(value) for rule in rules):
            return value
    return zero


def _typed(column: Column, example: Any) -> Any:
    """Return the example as the column's type; ``None`` if it is not one."""
    if isinstance(example, str | bool) or column.type in ("string", "boolean"):
        return example if type(example) is type(_ZERO[column.type]) else None
    return float(example) if column.is_floating else int(example) if float(example).is_integer() else None
