"""Dates inside sentences, which no line may break."""

from __future__ import annotations

import re

from streaming.page.markup import Child, tag

_DATE = re.compile(r"(\d{4}-\d\d-\d\d(?: \d\d:\d\d)?)")


def dated(sentence: str) -> list[Child]:
    """Return the sentence with each of its dates in one piece."""
    return [
        tag("span", part, class_="whole") if place % 2 else part for place, part in enumerate(_DATE.split(sentence))
    ]
