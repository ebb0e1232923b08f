"""How many examples a law is tried with."""

from __future__ import annotations

from hypothesis import settings

_USUAL = 100


def examples(count: int) -> settings:
    """Return settings for so many examples in ``make test``, and in proportion more in ``make fuzz``."""
    return settings(max_examples=count * settings().max_examples // _USUAL)
