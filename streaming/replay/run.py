"""The loop of a replay: chunk by chunk, read, score by its versions, write."""

from __future__ import annotations

import gc
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from streaming.engines.arms import CombinedArms
from streaming.engines.attempt import attempt
from streaming.engines.isolate import isolate
from streaming.engines.known_good import KnownGoodRows
from streaming.models.ref import ModelVersion
from streaming.models.seams import Poison
from streaming.models.served import ServedModel
from streaming.replay.chunks import Chunk
from streaming.replay.frames import Frames, without
from streaming.replay.sinks import ReplayCounts, ReplaySink

_LOADED = 2
"""Around a swap two versions take turns."""


class Versions:
    """Loads versions when they are needed, and keeps the last few."""

    def __init__(self, load: Callable[[ModelVersion], ServedModel], release: Callable[[ServedModel], None]) -> None:
        self._load = load
        self._release = release
        self._loaded: OrderedDict[ModelVersion, ServedModel] = OrderedDict()

    def get(self, versions: Sequence[ModelVersion]) -> list[ServedModel]:
        """Return versions, loaded; each stays so until others were asked for that take its room.

        Raises:
            CandidateRefusedError: it does not pass the checks that every version passes before it serves.
            RegistryUnavailableError: the registry did not answer.
        """
        room = max(_LOADED, len(versions))
        for version in versions:
            if version in self._loaded:
                self._loaded.move_to_end(version)
        for version in versions:
            if version not in self._loaded:
                while len(self._loaded) >= room:
                    self._release(self._loaded.popitem(last=False)[1])
                self._loaded[version] = self._load(version)
        return [self._loaded[version] for version in versions]

    def close(self) -> None:
        """Let go of all."""
        for served in self._loaded.values():
            self._release(served)
        self._loaded.clear()


@dataclass(frozen=True)
class Replay:
    """A replay put together. ``poison_rows`` is how many rows of a chunk its versions may throw on.

    ``report`` is called with each chunk when it is done.
    """

    frames: Frames
    versions: Versions
    sink: ReplaySink
    poison_rows: int
    report: Callable[[Chunk, ReplayCounts], None]
    known_good: defaultdict[str, KnownGoodRows] = field(default_factory=lambda: defaultdict(KnownGoodRows))
    """By role, for versions that were loaded without a row on which they do not throw."""
    combined: CombinedArms = field(default_factory=CombinedArms)
    leaves_throwing: bool = False
    """Leave out the rows on which the versions throw, in place of making dead letters of them."""

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
        arms = chunk.by.arms
        loaded = self.versions.get([arm.version for arm in arms])
        records = self.frames.read(chunk.ranges)
        proven = [
            self.known_good[arm.role](served, partial(served.decoder, records))
            for arm, served in zip(arms, loaded, strict=True)
        ]
        model = self.combined(proven, chunk.by)

        def find() -> Poison:
            return isolate(records, model, chunk.ranges, self.poison_rows)

        def write(safe: ServedModel) -> ReplayCounts:
            rows = without(records, safe.decoder.poison) if self.leaves_throwing else records
            return self.sink.write(chunk, rows, safe)

        # The same search for poison rows as in the live job, or a replay could end where the job went on.
        counts = attempt(write, model, find, chunk.by)
        # py4j's proxies refer to themselves; until they are collected, they keep the chunk's plans in the JVM.
        gc.collect()
        return counts
