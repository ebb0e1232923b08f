"""A gate in front of the sinks of model events. It is shut while a driver stands by: only the active one announces."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from schemas.model_event import EventType, ModelEvent
from streaming.models.announcer import ModelEventSink
from streaming.sinks import deliver


class Gate:
    """A :class:`streaming.models.announcer.ModelEventSink` before others; it opens when the driver becomes active."""

    def __init__(self, sinks: Sequence[ModelEventSink]) -> None:
        self._sinks = sinks
        self._guard = threading.Lock()
        self._open = False
        self._serving: dict[str, ModelEvent] = {}

    @property
    def is_open(self) -> bool:
        """True if this driver is the active one."""
        return self._open

    def send(self, event: ModelEvent) -> None:
        """Pass an event on; while the gate is shut, only remember which version of each model serves."""
        with self._guard:
            if self._open:
                deliver(event, self._sinks)
            elif event.type is EventType.SWAP:
                self._serving[event.model] = replace(event, from_version=None)

    def open(self) -> None:
        """Announce the versions that serve, and pass everything on from now."""
        with self._guard:
            self._open = True
            for event in self._serving.values():
                deliver(event, self._sinks)
            self._serving.clear()
