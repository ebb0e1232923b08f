"""Which arms the next batch has, and their versions put together as one that the programs run like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from pyspark.sql import functions as F

from streaming.events import columns as c
from streaming.ledger.arms import PlannedArm, PlannedArms
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.served import ServedModel
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.frames import arm_number
from streaming.rollout.intervals import ALL_CHAMPION
from streaming.scoring.arms import ArmScorer

CANDIDATE = "candidate"


class ArmSource(Protocol):
    """Decides which arms a batch is planned with, and holds the versions of those that the slot does not hold."""

    def planned(self, champion: ModelVersion, held: frozenset[ModelKey], /) -> PlannedArms:
        """Return the arms of the next batch; of ``held`` versions none but the champion may be among them."""
        ...

    def loaded(self, key: ModelKey, /) -> ServedModel | None:
        """Return a version that it holds."""
        ...

    def give_up(self) -> None:
        """Plan the champion alone from now on: the arms have failed on a batch."""
        ...


class ChampionAlone:
    """The slot's version has every event."""

    def planned(self, champion: ModelVersion, _held: frozenset[ModelKey], /) -> PlannedArms:
        """Return the one arm."""
        return PlannedArms.only(champion)

    def loaded(self, _key: ModelKey, /) -> ServedModel | None:
        """Return nothing: the slot holds the version."""
        return None

    def give_up(self) -> None:
        """Do nothing: there are no arms to give up."""


class FixedCandidate:
    """A second version that has a fixed share of the keys, whatever the slot's version is."""

    def __init__(self, candidate: ServedModel, share: float, salt: str) -> None:
        """Take a loaded version, which the caller releases when no batch is planned any more.

        Args:
            candidate: the version.
            share: its share of the keys, from 0 to 1.
            salt: of the assignment.

        Raises:
            ConfigurationError: the share or the salt cannot be.
        """
        self._candidate = candidate
        self._assignment = ArmAssignment(salt, ALL_CHAMPION.changed_to({CANDIDATE: share}))
        self._given_up = False

    def planned(self, champion: ModelVersion, held: frozenset[ModelKey]) -> PlannedArms:
        """Return both arms; one if the candidate is on hold, was given up, or has become the champion."""
        if self._given_up or self._candidate.key in (champion.key, *held):
            return PlannedArms.only(champion)
        arms = (PlannedArm(champion), PlannedArm(self._candidate.version, CANDIDATE))
        return PlannedArms(arms, self._assignment)

    def loaded(self, key: ModelKey) -> ServedModel | None:
        """Return the candidate, if it is asked for."""
        return self._candidate if key == self._candidate.key else None

    def give_up(self) -> None:
        """Plan the champion alone until the job is started again."""
        self._given_up = True


class CombinedArms:
    """Puts the versions of a plan's arms together; the same ones are the same object from batch to batch."""

    def __init__(self) -> None:
        self._last: tuple[PlannedArms, Sequence[ServedModel], ServedModel] | None = None

    def __call__(self, models: Sequence[ServedModel], arms: PlannedArms) -> ServedModel:
        """Return the one version, or what scores each row by its arm's, read by the champion's decoder."""
        if arms.assignment is None:
            return models[0]
        # A kept plan is one object's: a new one for each batch would be planned for each batch.
        if self._last is None or self._last[0] != arms or not _are(self._last[1], models):
            roles = [arm.role for arm in arms.arms]
            number = arm_number(arms.assignment, roles, F.col(c.KEY), F.col(c.EVENT_ID))
            # Two arms are scored by the reference alone (decision 16).
            references = tuple(model.reference for model in models)
            self._last = arms, models, replace(references[0], scorer=ArmScorer(references, number))
        return self._last[2]


def _are(these: Sequence[ServedModel], those: Sequence[ServedModel]) -> bool:
    return len(these) == len(those) and all(a is b for a, b in zip(these, those, strict=True))
