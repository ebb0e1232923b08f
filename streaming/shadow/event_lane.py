"""One partition of the input, read forwards with jumps: which events are asked for, and what came ahead of that."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from streaming.shadow.scoring import InputEvent

FAR = 2_000
"""Events that are rather read and dropped than jumped over: a jump throws away what was fetched ahead."""


class EventLane:
    """One partition: the offsets that are asked for, and the events that came before they were asked for.

    Attributes:
        position: the offset that the client hands over next.
        is_resting: whether nothing is fetched.
    """

    def __init__(self, position: int) -> None:
        self.position = position
        self.is_resting = False
        self._ahead: deque[InputEvent] = deque()
        self._asked: set[int] = set()
        self._last = -1
        self._events: dict[int, InputEvent] = {}

    @property
    def is_open(self) -> bool:
        """True while events that are asked for may still come."""
        return self.position <= self._last

    def ask(self, offsets: Sequence[int]) -> bool:
        """Ask for ascending offsets; return whether the client has to jump to the first of them."""
        self._asked, self._last, self._events = set(offsets), offsets[-1], {}
        begin = self._ahead[0].offset if self._ahead else self.position
        if not begin <= offsets[0] <= self.position + FAR:
            self._ahead.clear()
            self.position = offsets[0]
            return True
        while self._ahead and self._ahead[0].offset <= self._last:
            self._keep(self._ahead.popleft())
        return False

    def take(self, event: InputEvent) -> None:
        """Take what the client has handed over."""
        self.position = event.offset + 1
        self._keep(event)

    def end(self, offset: int, first: int, end: int) -> None:
        """Note that the client has come to ``offset`` and the partition has the offsets from ``first`` to ``end``."""
        self.position = max(self.position, offset)
        if max(self.position, first) >= min(end, self._last + 1):
            self._last = -1

    def handed_over(self) -> dict[int, InputEvent]:
        """Return the events by their offsets."""
        events, self._events = self._events, {}
        return events

    def _keep(self, event: InputEvent) -> None:
        if event.offset in self._asked:
            self._events[event.offset] = event
        elif event.offset > self._last:
            self._ahead.append(event)
