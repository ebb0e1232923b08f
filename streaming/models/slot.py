"""The slot: which loaded version serves now. Swapping it changes one reference; a batch keeps the version it leased."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from streaming.errors import CandidateRefusedError, ModelNotFoundError
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.refusal_codes import RefusalCode


@dataclass
class _Entry:
    model: ServedModel
    uses: int = 0
    proven: bool = False
    """A batch has finished with it, so it may be rolled back to."""
    retired: bool = False


def _release(model: ServedModel) -> None:
    model.scorer.release()


class Slot:
    """Holds the serving version, and the last one that finished a batch for rolling back. Safe from every thread.

    A version that is in neither place is released when its last lease ends, never earlier and only once.
    """

    def __init__(self, held: frozenset[ModelKey] = frozenset()) -> None:
        self._changed = threading.Condition()
        self._release: Callable[[ServedModel], None] = _release
        self._current: _Entry | None = None
        self._last_good: _Entry | None = None
        self._held = held

    def current(self) -> ServedModel | None:
        """Return the serving version; ``None`` before the first."""
        entry = self._current
        return entry.model if entry else None

    def last_good(self) -> ServedModel | None:
        """Return the version that :meth:`roll_back` would serve."""
        entry = self._last_good
        return entry.model if entry else None

    @property
    def held(self) -> frozenset[ModelKey]:
        """The versions that may not serve."""
        return self._held

    def release_with(self, release: Callable[[ServedModel], None]) -> None:
        """Free versions by ``release`` from now on, which does more than to release their scorer."""
        self._release = release

    def wait(self, timeout: float) -> ServedModel | None:
        """Return the serving version as soon as there is one; ``None`` after ``timeout`` seconds without."""
        with self._changed:
            self._changed.wait_for(lambda: self._current is not None, timeout)
            return self.current()

    def swap(self, new: ServedModel) -> ServedModel | None:
        """Serve ``new`` from the next lease on and return what served before.

        Raises:
            CandidateRefusedError: ``HELD``; the version was put on hold, perhaps while it was loading.
        """
        with self._changed:
            if new.key in self._held:
                raise CandidateRefusedError(
                    RefusalCode.HELD, f"{new.version} is on hold; register a new version instead"
                )
            old, self._current = self._current, _Entry(new)
            dropped = old
            # To go back to a version on hold, or to the same version, would mend nothing.
            if old is not None and old.proven and old.model.key not in (*self._held, new.key):
                dropped, self._last_good = self._last_good, old
            self._changed.notify_all()
        self._retire(dropped)
        return old.model if old else None

    @contextmanager
    def lease(self, key: ModelKey | None = None) -> Iterator[ServedModel]:
        """Use the serving version, or the loaded one with this key, until the block ends.

        A block that ends without an error proves the version: it may be rolled back to later.

        Raises:
            ModelNotFoundError: nothing is loaded, or not the version asked for.
        """
        with self._changed:
            entry = self._find(key)
            entry.uses += 1
        try:
            yield entry.model
            entry.proven = True
        finally:
            self._end(entry)

    def hold(self, key: ModelKey) -> None:
        """Refuse the version from now on, for rolling back too; if it serves now, it stays until the next swap."""
        with self._changed:
            self._held |= {key}
            dropped = self._drop_last_good(key)
        self._retire(dropped)

    def roll_back(self, failed: ModelKey) -> ServedModel | None:
        """Put ``failed`` on hold and serve the last good version in its place.

        Returns:
            What serves now: also when another version has taken over meanwhile. ``None``, and no hold, if ``failed``
            serves and there is nothing to roll back to.
        """
        with self._changed:
            failing, good = self._current, self._last_good
            serves = failing is not None and failing.model.key == failed
            if serves and good is None:
                return None
            if serves:
                self._current, self._last_good = good, None
            self._held |= {failed}
            dropped = failing if serves else self._drop_last_good(failed)
            now = self.current()
        self._retire(dropped)
        return now

    def _drop_last_good(self, key: ModelKey) -> _Entry | None:
        good = self._last_good
        if good is None or good.model.key != key:
            return None
        self._last_good = None
        return good

    def _find(self, key: ModelKey | None) -> _Entry:
        for entry in (self._current, self._last_good):
            if entry is not None and key in (None, entry.model.key):
                return entry
        raise ModelNotFoundError("no model version is loaded yet" if key is None else f"{key} is not loaded")

    def _end(self, entry: _Entry) -> None:
        with self._changed:
            entry.uses -= 1
            free = entry.retired and entry.uses == 0
        if free:
            self._release(entry.model)

    def _retire(self, entry: _Entry | None) -> None:
        if entry is None:
            return
        with self._changed:
            entry.retired = True
            free = entry.uses == 0
        if free:
            self._release(entry.model)
