"""The loop of a replay: chunk by chunk, read, score by its version, write."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from streaming.engines.attempt import attempt
from streaming.engines.isolate import isolate
from streaming.engines.known_good import KnownGoodRows
from streaming.models.ref import ModelVersion
from streaming.models.seams import Poison
from streaming.models.served import ServedModel
from streaming.replay.chunks import Chunk
from streaming.replay.frames import Frames
from streaming.replay.sinks import ReplayCounts, ReplaySink

_LOADED = 2
"""Around a swap two versions take turns."""


class Versions:
    """Loads versions when they are needed, and keeps the last few."""

    def __init__(self, load: Callable[[ModelVersion], ServedModel], release: Callable[[ServedModel], None]) -> None:
        self._load = load
        self._release = release
        self._loaded: OrderedDict[ModelVersion, ServedModel] = OrderedDict()

    def get(self, version: ModelVersion) -> ServedModel:
        """Return a version, loaded; it stays so until two others were asked for.

        Raises:
            CandidateRefusedError: it does not pass the checks that every version passes before it serves.
            RegistryUnavailableError: the registry did not answer.
        """
        if version not in self._loaded:
            while len(self._loaded) >= _LOADED:
                self._release(self._loaded.popitem(last=False)[1])
            self._loaded[version] = self._load(version)
        self._loaded.move_to_end(version)
        return self._loaded[version]

    def close(self) -> None:
        """Let go of all."""
        for served in self._loaded.values():
            self._release(served)
        self._loaded.clear()


@dataclass(frozen=True)
class Replay:
    """A replay put together. ``poison_rows`` is how many rows of a chunk a version may throw on.

    ``report`` is called with each chunk when it is done.
    """

    frames: Frames
    versions: Versions
    sink: ReplaySink
    poison_rows: int
    report: Callable[[Chunk, ReplayCounts], None]
    known_good: KnownGoodRows = field(default_factory=KnownGoodRows)

    def run(self, chunks: Iterable[Chunk]) -> ReplayCounts:
        """Replay chunks and count.

        Raises:
            PenstockError: going on would lose or double an event, or a version cannot score.
        """
        total = ReplayCounts()
        for chunk in chunks:
            counts = self.sink.written(chunk) or self._write(chunk)
            total += counts
            self.report(chunk, counts)
        return total

    def _write(self, chunk: Chunk) -> ReplayCounts:
        loaded = self.versions.get(chunk.by.version)
        records = self.frames.read(chunk.ranges)
        model = self.known_good(loaded, lambda: loaded.decoder(records))

        def find() -> Poison:
            return isolate(records, model, chunk.ranges, self.poison_rows)

        # The same search for poison rows as in the live job, or a replay could end where the job went on.
        counts = attempt(lambda safe: self.sink.write(chunk, records, safe), model, find)
        # py4j's proxies refer to themselves; until they are collected, they keep the chunk's plans in the JVM.
        gc.collect()
        return counts
