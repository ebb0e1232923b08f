"""Messages about settings that are not valid: the key, its source, the problem, and what was probably meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from jobs.configuration.references import Tree
from streaming.redaction import MASK, redact_tree
from streaming.settings import Settings
from streaming.settings.base import PATTERNS


def explain(detail: ErrorDetails, sources: Mapping[str, Tree]) -> str:
    """Return one line: the key, where it was set, what is wrong.

    Args:
        detail: One of pydantic's errors.
        sources: What each source said, the weakest first; the last one that has the key is named.
    """
    keys = [str(part) for part in detail["loc"]]
    location = ".".join(keys) or "settings"
    source = next((name for name, tree in reversed(list(sources.items())) if _has(tree, keys)), "")
    where = f"{location} ({source})" if source else location
    if detail["type"] == "extra_forbidden":
        names = _known_keys(keys[:-1])
        close = get_close_matches(keys[-1], names, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(names)}"
        return f"{where}: unknown key; {hint}"
    message = _message(detail)
    value = redact_tree(detail["input"], keys[-1] if keys else "")
    shown = "" if value == MASK or isinstance(value, dict | list | BaseModel) else f", not {_written(value)}"
    return f"{where}: {message[:1].lower()}{message[1:]}{shown}"


def _written(value: object) -> str:
    """Return a value as a YAML file has it, where Python's way would be strange to its writer."""
    return "null" if value is None else repr(value)


def _message(detail: ErrorDetails) -> str:
    """Return what is wrong, in our words where pydantic shows a pattern, and without its parser's remarks."""
    if detail["type"] == "string_pattern_mismatch":
        return PATTERNS.get(detail["ctx"]["pattern"], detail["msg"])
    if detail["type"] in ("model_type", "model_attributes_type"):
        return "must be a section, with `key: value` lines below it"
    return detail["msg"].removeprefix("Value error, ").partition(", unable to parse")[0]


def _has(tree: object, keys: Sequence[str]) -> bool:
    for key in keys:
        if not isinstance(tree, dict) or key not in tree:
            return False
        tree = tree[key]
    return bool(keys)


def _known_keys(keys: Sequence[str]) -> list[str]:
    section: type[BaseModel] = Settings
    for key in keys:
        annotation = section.model_fields[key].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        section = annotation
    return list(section.model_fields)
