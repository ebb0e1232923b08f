"""The documentation's fenced blocks, for tests that run what it tells the reader to run."""

from __future__ import annotations

import re
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path, *languages: str) -> list[tuple[str, str]]:
    """Return the language and text of each fenced block in one of ``languages``, in order."""
    return [(name, text) for name, text in _FENCE.findall(document.read_text("utf-8")) if name in languages]
