"""A flood of broken events, which is left to the reference: it judges each of them anyway."""

from __future__ import annotations

_FEW = 64
"""Events. What so few of them were says nothing of the next."""
_HARDLY_ANY = 16
"""A piece belongs to a flood if fewer than one in so many of its events is valid."""
_PASSED_OVER = 8
"""Pieces at most, so that the end of a flood is seen within some two megabytes."""


class Flood:
    """Decides which pieces the fast tiers read; it changes how soon an event is judged, never what is said of it."""

    def __init__(self) -> None:
        """Begin outside of a flood."""
        self._pause = 0
        self._left = 0

    def passes_over(self) -> bool:
        """Return whether the next piece is left to the reference. Each call is about another piece."""
        if self._left:
            self._left -= 1
            return True
        return False

    def note(self, valid: int, events: int) -> None:
        """Say how many events of a piece that was read were valid; each piece of a flood doubles the pause."""
        if events < _FEW:
            return
        self._pause = min(max(1, 2 * self._pause), _PASSED_OVER) if valid * _HARDLY_ANY < events else 0
        self._left = self._pause
