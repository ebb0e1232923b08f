"""A user's functions, for ``hooks.python``."""

from __future__ import annotations

seen: list[dict[str, str | int | float | None]] = []

not_a_function = 3


def remember(event: dict[str, str | int | float | None]) -> None:
    """Keep the event."""
    seen.append(event)


def fail(event: dict[str, str | int | float | None]) -> None:
    """Have a bug."""
    raise RuntimeError(f"a user's bug in {event['type']}")
