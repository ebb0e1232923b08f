"""What following a rollout is connected to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from streaming.clock import Clock
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.rollout.records import Transition


class RolloutRecords(Protocol):
    """The ledger's records as far as they concern rollouts; ``adapters/kafka/ledger_tail.py`` implements it."""

    def to_end(self) -> Iterable[Mapping[str, Any]]:
        """Return all records that were not returned before, and not less."""
        ...

    def fresh(self, seconds: float) -> Iterable[Mapping[str, Any]]:
        """Return what has come since, after up to ``seconds`` if nothing has."""
        ...


class RolloutVersions(Protocol):
    """What a rollout needs of the registry's versions; ``models/rollout_versions.py`` implements it."""

    def candidate(self, key: ModelKey) -> ServedModel:
        """Return a version that has passed every check; whoever asks for it releases it."""
        ...

    def name_champion(self, key: ModelKey, in_place_of: ModelKey | None = None) -> str:
        """Have the registry name a version for the job's selector; return why that cannot be, empty if it is done.

        ``in_place_of`` is one that may not be named any more.
        """
        ...

    def resume_tag(self, key: ModelKey) -> str:
        """Return which gate a version's tag passes, by its name; empty without the tag."""
        ...

    def take_back(self, key: ModelKey, reason: str) -> None:
        """Serve the version before this one from the next batch on, and put this one on hold."""
        ...


class RolloutObserver(Protocol):
    """An observer of rollouts."""

    def rollout_moved(self, transition: Transition, serving: ServedModel | None) -> None:
        """A transition is in the ledger; ``serving`` is the champion."""
        ...

    def rollout_seen(self, transition: Transition) -> None:
        """This is what the ledger has of the latest rollout."""
        ...


@dataclass(frozen=True)
class RolloutPorts:
    """What following a rollout is connected to. ``write`` appends a record to the ledger under the lease."""

    application: str
    slot: Slot
    versions: RolloutVersions
    records: RolloutRecords
    write: Callable[[Mapping[str, Any]], None]
    observer: RolloutObserver
    clock: Clock
