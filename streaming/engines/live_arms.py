"""What a real-time query scores with: the slot's version, or with a candidate beside it each row by its arm's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from streaming.engines.arms import ArmSource, CombinedArms
from streaming.ledger.arms import PlannedArms
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.models.slot import Slot


@dataclass(frozen=True, eq=False)
class LiveArms:
    """The arms of a query, and their versions put together as one.

    ``champion`` is the slot's version. ``model`` is the same, or scores each row by the version of its arm.
    """

    champion: ServedModel
    arms: PlannedArms
    model: ServedModel

    @classmethod
    def only(cls, champion: ServedModel) -> LiveArms:
        """Return the one arm that has every event."""
        return cls(champion, PlannedArms.only(champion.version), champion)


class LeasedArms(ArmSource, Protocol):
    """An :class:`ArmSource` that keeps a candidate while a query runs; :class:`CandidateArms` implements it."""

    def lease(self, key: ModelKey, /) -> AbstractContextManager[ServedModel]:
        """Use a version that was planned with, until the block ends."""
        ...


class LiveVersions:
    """Says what a query that began now would score with, and keeps its versions; the engine's thread alone uses it."""

    def __init__(self, slot: Slot, source: LeasedArms) -> None:
        """Take where the champion is, and what decides the arms."""
        self._slot = slot
        self._source = source

    @property
    def champion(self) -> ServedModel | None:
        """The slot's version; ``None`` before the first."""
        return self._slot.current()

    def planned(self) -> PlannedArms | None:
        """Return the arms that a query would have that began now; ``None`` before the first version."""
        champion = self.champion
        return None if champion is None else self._arms(champion)

    def differ_from(self, scoring: LiveArms) -> bool:
        """Return whether a query that began now would score with something else."""
        champion = self.champion
        if champion is None:
            return False
        return champion is not scoring.champion or self._arms(champion) != scoring.arms

    @contextmanager
    def leased(self) -> Iterator[LiveArms]:
        """Use the present versions until the block ends.

        Raises:
            ModelNotFoundError: none is loaded.
        """
        with ExitStack() as stack:
            champion = stack.enter_context(self._slot.lease())
            arms = self._arms(champion)
            others = [stack.enter_context(self._source.lease(arm.version.key)) for arm in arms.arms[1:]]
            yield LiveArms(champion, arms, CombinedArms()([champion, *others], arms))

    def give_up(self, reason: str) -> None:
        """Have the champion alone from now on: the arms have failed."""
        self._source.give_up(reason)

    def _arms(self, champion: ServedModel) -> PlannedArms:
        return self._source.planned(champion.version, self._slot.held)
