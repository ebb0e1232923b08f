"""The versions of a job's many models: what is named, loaded, refused, on hold, and what serves for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from streaming.clock import Clock
from streaming.errors import CandidateRefusedError, ModelNotFoundError
from streaming.models.announcer import Announcer
from streaming.models.candidate import Promoted
from streaming.models.many_ports import MadeVersion, TableMaker
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.refusals import Refusals, Refused
from streaming.models.registry import ManyModels
from streaming.models.table import TableRow

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_FEWEST_FAILURES = 10
_FAILING_SHARE = 0.5
"""A version that throws on so many of a batch's events, and on so large a share of them, is taken back."""


@dataclass(frozen=True)
class Attempt:
    """A version was tried: ``made`` is there if it passed, ``refusal`` if it was refused.

    A version that is still being registered has neither. ``failed`` is the version in whose place it comes back, if
    that is why it was loaded.
    """

    version: ModelVersion
    made: MadeVersion | None = None
    refusal: Refused | None = None
    failed: ModelKey | None = None
    seconds: float = 0.0

    def announce(self, announcer: Announcer, before: TableRow | None) -> None:
        """Announce the attempt; ``before`` served until now."""
        if self.refusal is not None:
            announcer.refused(self.refusal, before)
        elif self.made is not None and self.failed is not None:
            announcer.rolled_back(self.failed, self.made.served, f"{self.failed} throws on its events")
        elif self.made is not None:
            announcer.promoted(Promoted(self.made.served, before, self.seconds))


class TableVersions:
    """Knows of each model what serves, what the registry names, and what is to be loaded; safe from every thread."""

    def __init__(
        self, registry: ManyModels, maker: TableMaker, clock: Clock, held: frozenset[ModelKey] = frozenset()
    ) -> None:
        self._registry = registry
        self._maker = maker
        self._clock = clock
        self._guard = threading.RLock()
        self._held = held
        self._named: dict[str, int] = {}
        self._digests: dict[ModelKey, str] = {}
        self._rows: dict[str, TableRow] = {}
        self._earlier: dict[str, list[TableRow]] = {}
        self._refusals = Refusals()
        self._refused: dict[str, ModelVersion] = {}

    @property
    def rows(self) -> Sequence[TableRow]:
        """The row of each model that takes part."""
        with self._guard:
            return list(self._rows.values())

    @property
    def held(self) -> frozenset[ModelKey]:
        """The versions that may not serve."""
        return self._held

    @property
    def unsettled(self) -> frozenset[str]:
        """The models that are named, and of which no version is loaded or refused yet."""
        with self._guard:
            return frozenset(self._named.keys() - self._rows.keys())

    def row(self, name: str) -> TableRow | None:
        """Return a model's row."""
        with self._guard:
            return self._rows.get(name)

    def name(self, named: Mapping[str, int], digests: Mapping[ModelKey, str] | None = None) -> None:
        """Take what the registry names; what it names no more goes on serving.

        With ``digests`` these are versions that served before the restart, to be loaded from the cache.
        """
        with self._guard:
            self._named.update(named)
            self._digests.update(digests or {})

    def due(self) -> list[str]:
        """Return the models of which a version is to be loaded, or looked at again."""
        with self._guard:
            return [name for name in self._named if self._is_due(name)]

    def _is_due(self, name: str) -> bool:
        key, row = self._chosen(name), self._rows.get(name)
        if key is None or (row is not None and row.is_loaded and row.version.key == key):
            return False
        refused = self._refused.get(name)
        return refused is None or refused.key != key or self._refusals.due(refused, self._clock())

    def _chosen(self, name: str) -> ModelKey | None:
        """Return the version that should serve: that of the registry, or if it is on hold the latest before it."""
        key = ModelKey(name, self._named[name])
        if key not in self._held:
            return key
        earlier = (row.version.key for row in reversed(self._earlier.get(name, [])))
        return next((other for other in earlier if other not in self._held), None)

    def load(self, name: str) -> Attempt:
        """Load the version that a model should have; whatever it throws, it is an attempt that failed."""
        with self._guard:
            key, row = self._chosen(name), self._rows.get(name)
        key = key or ModelKey(name, self._named[name])
        failed = row.version.key if row is not None and row.version.key in self._held else None
        version, began = ModelVersion(name, key.version), time.monotonic()
        try:
            digest = self._digests.get(key)
            made = self._maker.recall(key, digest) if digest else None
            if made is None:
                version = self._registry.get(key.name, key.version)
                if version.status == "PENDING":
                    return Attempt(version)
                made = self._maker.prepare(version, self._registry.download)
        except Exception as problem:  # whatever a candidate throws, the other models go on
            with self._guard:
                self._refused[name] = version
                return Attempt(version, refusal=self._refusals.refuse(version, problem, self._clock()))
        return Attempt(made.row.version, made, failed=failed, seconds=time.monotonic() - began)

    def take(self, attempt: Attempt) -> TableRow | None:
        """Let a version that passed serve; a model that has none takes part without. Returns the row before."""
        with self._guard:
            name, made = attempt.version.name, attempt.made
            before = self._rows.get(name)
            if made is not None and made.row.version.key not in self._held:
                self._rows[name] = made.row
                self._digests[made.row.version.key] = made.row.digest
                if refused := self._refused.pop(name, None):
                    self._refusals.forget(refused)
                if before is not None and before.is_loaded:
                    self._earlier[name] = [*self._earlier.get(name, [])[-1:], before]
            # Refused, and no version before: its events are rejected instead of going to the default model.
            elif before is None and (attempt.refusal or made):
                self._rows[name] = TableRow(attempt.version)
        return before

    def hold(self, key: ModelKey) -> None:
        """Let a version not serve any more; until another one is loaded its model has none."""
        with self._guard:
            self._held |= {key}
            row = self._rows.get(key.name)
            if row is not None and row.version.key == key:
                self._rows[key.name] = TableRow(row.version)

    def doubt(self, outcomes: Mapping[str, tuple[int, int]]) -> bool:
        """Put versions on hold that threw on most of a batch's events; returns whether there are any."""
        failing = [
            key
            for key, (events, thrown) in outcomes.items()
            if thrown >= _FEWEST_FAILURES and thrown > _FAILING_SHARE * events
        ]
        for text in failing:
            name, _, number = text.rpartition("/")
            self.hold(ModelKey(name, int(number)))
            _log.warning("a model throws on its events and is taken back", model=name, version=int(number))
        return bool(failing)

    def recalled(self, version: ModelVersion, digest: str) -> TableRow:
        """Return the row that a table had, loaded again if it does not serve; raises as the registry if it is silent.

        A version that cannot be loaded any more has a row without a program.
        """
        row = self.row(version.name)
        if row is not None and row.is_loaded and (row.version.key, row.digest) == (version.key, digest):
            return row
        # It had no program then, and a batch that is tried again must come out the same.
        if not digest:
            return TableRow(version)
        try:
            made = self._maker.recall(version.key, digest)
            if made is None:
                registered = self._registry.get(version.name, version.version)
                made = self._maker.prepare(registered, self._registry.download)
        except (CandidateRefusedError, ModelNotFoundError) as problem:
            _log.warning("a version cannot be loaded any more", model=str(version), problem=str(problem))
            return TableRow(version)
        return made.row
