"""Columns from a store that keeps no history: a worker asks it for the keys of a batch, and remembers for a moment."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress

from cachetools import TTLCache

from streaming.lookup.entries import Entry, EntryReader
from streaming.lookup.table import CATCH_UP, HITS, MISSES
from streaming.lookup_state import LookupState
from streaming.settings import LookupSettings


class ValueStore(ABC):
    """Gives the present values of keys; ``adapters/redis/store.py`` implements it. It is pickled for the tasks."""

    @property
    @abstractmethod
    def time_field(self) -> str:
        """The field of a value that says when it was written."""

    @property
    @abstractmethod
    def cache_seconds(self) -> float:
        """How long a value may be remembered."""

    @abstractmethod
    def values(self, keys: Sequence[bytes], /) -> list[bytes | None]:
        """Return the value of each key, ``None`` where there is none.

        Raises:
            LookupUnavailableError: the store does not answer in time, or refuses.
        """


class StoredTable:
    """A worker's view of a store. It belongs to one thread."""

    def __init__(
        self, settings: LookupSettings, store: ValueStore, timer: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the columns, the store, and a clock in seconds."""
        self._store = store
        self._timer = timer
        self._reader = EntryReader(settings)
        self._cache: TTLCache[bytes, Entry | None] = TTLCache(settings.cache_keys, store.cache_seconds, timer)
        self._counts: defaultdict[str, float] = defaultdict(float)

    def close(self) -> None:
        """Forget everything."""
        self._cache.clear()

    def move_to(self, state: LookupState, seconds: float) -> None:
        """Do nothing: a store is at the present state alone."""

    def entries(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return what the store has of distinct keys; ``None`` where it has nothing.

        Raises:
            LookupUnavailableError: the store does not answer in time, or refuses.
        """
        entries: dict[bytes, Entry | None] = {}
        for key in keys:
            # Not asked for first whether it is there: it may expire between two looks.
            with suppress(KeyError):
                entries[key] = self._cache[key]
        unknown = [key for key in keys if key not in entries]
        self._counts[HITS] += len(keys) - len(unknown)
        self._counts[MISSES] += len(unknown)
        read = self._read(unknown) if unknown else {}
        self._cache.update(read)
        entries |= read
        return [entries[key] for key in keys]

    def counts(self) -> dict[str, float]:
        """Return what was counted since the last call; the names are those of :mod:`streaming.lookup.table`."""
        counts = dict(self._counts)
        self._counts.clear()
        return counts

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, Entry | None]:
        began = self._timer()
        values = self._store.values(keys)
        self._counts[CATCH_UP] += self._timer() - began
        field = self._store.time_field
        return {key: self._reader.read_timed(value, field) for key, value in zip(keys, values, strict=True)}
