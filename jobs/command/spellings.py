"""Spellings of options that earlier releases used. They are still taken, and no help shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from streaming.clock import instant

_RENAMED: Mapping[str, Mapping[str, str]] = {
    "dlq list": {"--since": "--from", "--until": "--to"},
    "dlq replay": {"--since": "--from", "--until": "--to"},
    "ledger show": {"--since": "--from"},
    "drift report": {"--version": "--model-version"},
}
_JSON = "--json"
_OFFSET = re.compile(r"\d+:\d+")


def current(arguments: Sequence[str]) -> list[str]:
    """Return the command line with each option in its current spelling.

    ``--json`` was a flag; without a path after it, it means standard output. ``dlq replay --to`` was a topic.

    >>> current(["dlq", "list", "--since", "2026-11-20", "--json"])
    ['dlq', 'list', '--from', '2026-11-20', '--json', '-']
    >>> current(["dlq", "replay", "--to=features.retry", "--json", "0:17"])
    ['dlq', 'replay', '--to-topic=features.retry', '--json', '-', '0:17']
    """
    verb = " ".join(arguments[:2])
    result: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return [*result, *arguments[position:]]
        # Both --option=value and --option value are options of the parser.
        name, equals, value = argument.partition("=")
        following = value if equals else next(iter(arguments[position + 1 : position + 2]), None)
        if verb == "dlq replay" and name == "--to" and not _is_time(following):
            name = "--to-topic"
        result.append(_RENAMED.get(verb, {}).get(name, name) + equals + value)
        if argument == _JSON and not _is_target(following):
            result.append("-")
    return result


def _is_target(text: str | None) -> bool:
    """Return whether the word after ``--json`` can be its path, and not another option or a dead letter's offset."""
    return text is not None and (text == "-" or not text.startswith("-")) and not _OFFSET.fullmatch(text)


def _is_time(text: str | None) -> bool:
    try:
        instant(text or "")
    except ValueError:
        return False
    return True
