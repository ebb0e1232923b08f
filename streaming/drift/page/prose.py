"""Sentences as markup: dates that no line may break, and commands as code."""

from __future__ import annotations

import re

from streaming.page.markup import Child, tag

_PIECES = re.compile(r"(\d{4}-\d\d-\d\d(?: \d\d:\d\d)?|`penstock [a-z -]+`)")


def prose(sentence: str) -> list[Child]:
    """Return the sentence's text with its dates and commands in elements of their own."""
    return [_marked(part) if index % 2 else part for index, part in enumerate(_PIECES.split(sentence))]


def _marked(part: str) -> Child:
    return tag("code", part.strip("`")) if part.startswith("`") else tag("span", part, class_="whole")
