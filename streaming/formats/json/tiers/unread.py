"""Fields that producers send and the job does not read, learnt from events so that the first tier can decode them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from streaming.formats.json.tiers.fields import Field, can_be_declared

_WINDOW = 64
"""Events with an undeclared field from which to learn at once."""
_MOST = 100
"""Declared fields that nobody reads; each costs time in every event, also where it is absent."""


class UnreadFields:
    """Which unread fields are worth declaring: plain values that half of the events have."""

    def __init__(self, read: Collection[str], learnt: Collection[str] = ()) -> None:
        """Start with the fields that are read, and those that were learnt before."""
        self._learnt = [Field(name) for name in learnt if name not in read]
        self._declared = {*read, *learnt}
        self._counts: Counter[str] = Counter()
        self._events = 0

    @property
    def learnt(self) -> tuple[Field, ...]:
        """The fields to declare; the set only grows."""
        return tuple(self._learnt)

    def observe(self, event: dict[str, Any]) -> None:
        """Count an event's fields that are not declared."""
        strangers = event.keys() - self._declared
        if not strangers:
            return
        self._counts.update(name for name in strangers if not isinstance(event[name], dict | list))
        self._events += 1
        if self._events == _WINDOW:
            self._learn()

    def _learn(self) -> None:
        usual = [name for name, count in self._counts.items() if 2 * count >= _WINDOW and can_be_declared(name)]
        # Events with more fields than may be declared are not proven by declaring some of them.
        if len(self._learnt) + len(usual) <= _MOST:
            self._learnt += [Field(name) for name in sorted(usual)]
            self._declared.update(usual)
        self._counts.clear()
        self._events = 0
