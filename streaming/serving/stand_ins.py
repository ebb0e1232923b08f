"""What follows the champion in a server's chain: a version that is loaded beside the requests, and a constant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import structlog

from streaming.errors import PenstockError
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.models.slot import Slot

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_RETRY_SECONDS = 30.0
"""From a version that could not be loaded to the next try."""


class EarlierVersions(Protocol):
    """Loads versions that the slot does not have; ``models/follower.py`` implements it."""

    def recall(self, key: ModelKey) -> ServedModel:
        """Load a version; raises ``PenstockError``."""
        ...

    def earlier(self) -> ServedModel | None:
        """Load the version that served before the slot's, if one is remembered."""
        ...

    def release(self, model: ServedModel) -> None:
        """Give a version back."""
        ...


@dataclass
class StandIns:
    """Loads between :meth:`start` and :meth:`stop`.

    Attributes:
        slot: has the champion, and often the version that served before it.
        versions: loads others.
        pinned: the fallback version; ``None`` for the version that served before the champion.
        default: makes the default score beside a champion; ``None`` where there is none.
    """

    slot: Slot
    versions: EarlierVersions
    pinned: ModelKey | None
    default: Callable[[ServedModel | None], ServedModel] | None
    problem: str = ""
    """Why the fallback version cannot be loaded."""
    _held: ServedModel | None = None
    _default: tuple[ServedModel | None, ServedModel] | None = None

    def __post_init__(self) -> None:
        """Make the thread."""
        self._stopping, self._looked = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="fallback-version", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait up to ``seconds`` for the first try."""
        self._looked.wait(seconds)

    def stop(self, seconds: float = 10.0) -> None:
        """End, and give back what was loaded; no pass may be going on."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(seconds)
        held, self._held = self._held, None
        if held is not None:
            self.versions.release(held)

    def following(self, champion: ServedModel | None) -> Iterator[ServedModel]:
        """Yield what may answer in the place of a champion, in the chain's order."""
        good = self.slot.last_good()
        version = good if self.pinned is None and good is not None else self._held
        if version is not None and (champion is None or version.key != champion.key):
            yield version
        if self.default is not None:
            if self._default is None or self._default[0] is not champion:
                self._default = champion, self.default(champion)
            yield self._default[1]

    def look(self) -> None:
        """Load the fallback version where it is not there yet."""
        if self._held is not None or (self.pinned is None and self.slot.last_good() is not None):
            return
        try:
            self._held = self.versions.earlier() if self.pinned is None else self.versions.recall(self.pinned)
            self._note("")
        except PenstockError as problem:
            self._note(str(problem))
        # Whatever a version throws while it is loaded, the champion goes on answering.
        except Exception as problem:
            _log.exception("the fallback version could not be loaded")
            self._note(repr(problem))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._looked.set()
            self._stopping.wait(_RETRY_SECONDS)

    def _note(self, problem: str) -> None:
        if problem and problem != self.problem:
            _log.warning("fallback version cannot be loaded", problem=problem)
        self.problem = problem
