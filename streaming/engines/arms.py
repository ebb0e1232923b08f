"""Which arms the next batch has, and their versions put together as one that the programs run like any other."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from pyspark.sql import functions as F

from streaming.errors import ModelNotFoundError
from streaming.events import columns as c
from streaming.ledger.arms import PlannedArm, PlannedArms
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.served import ServedModel
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.frames import arm_number
from streaming.rollout.intervals import CANDIDATE
from streaming.scoring.arm_pass import ArmPass
from streaming.scoring.arms import ArmScorer
from streaming.scoring.row_pass import JsonRowPass


class ArmSource(Protocol):
    """Decides which arms a batch is planned with, and holds the versions of those that the slot does not hold."""

    def planned(self, champion: ModelVersion, held: frozenset[ModelKey], /) -> PlannedArms:
        """Return the arms of the next batch; of ``held`` versions none but the champion may be among them."""
        ...

    def loaded(self, key: ModelKey, /) -> ServedModel | None:
        """Return a version that it holds."""
        ...

    def give_up(self, reason: str, /) -> None:
        """Plan the champion alone from now on: the arms have failed on a batch."""
        ...


@dataclass(frozen=True, eq=False)
class ArmOffer:
    """A candidate, and which keys it is to have.

    ``weights`` name the rollout's step, if it is a rollout's. Without ``candidate``, the loaded version, the key's
    version answers only where it is the champion itself, and the plans name the step all the same. ``in_shadow`` it has
    no keys and the plans name the step, so that another process knows which predictions to pair.
    """

    key: ModelKey | None = None
    candidate: ServedModel | None = None
    assignment: ArmAssignment | None = None
    weights: WeightEpoch | None = None
    in_shadow: bool = False


class CandidateArms:
    """The slot's version and, while one is offered, a candidate beside it.

    Offers come from any thread. The batch thread plans, and it alone releases a candidate that is not offered any more:
    until it plans the next batch, the last one may be using it. A real-time query uses one for longer, and leases it.
    """

    def __init__(self, release: Callable[[ServedModel], None]) -> None:
        """Take what releases a candidate."""
        self._release = release
        self._guard = threading.Lock()
        self._offer = ArmOffer()
        self._failure = ""
        self._retired: list[ServedModel] = []
        self._leases: Counter[int] = Counter()

    def offer(self, offer: ArmOffer) -> None:
        """Plan with this from the next batch on; the candidate is ours to release."""
        with self._guard:
            before, self._offer, self._failure = self._offer, offer, ""
            if before.candidate is not None and before.candidate is not offer.candidate:
                self._retired.append(before.candidate)

    @property
    def offered(self) -> ArmOffer:
        """The present offer."""
        return self._offer

    @property
    def failure(self) -> str:
        """Why a batch could not be scored with the present offer; empty if none failed."""
        return self._failure

    def planned(self, champion: ModelVersion, held: frozenset[ModelKey]) -> PlannedArms:
        """Return the arms; one if the candidate is on hold, was given up, or has become the champion."""
        self._release_retired()
        with self._guard:
            offer, is_given_up = self._offer, bool(self._failure)
        if is_given_up or offer.key in held:
            return PlannedArms.only(champion)
        if offer.in_shadow or offer.key == champion.key:
            return PlannedArms((PlannedArm(champion),), weights=offer.weights)
        if offer.candidate is None:
            return PlannedArms.only(champion)
        arms = (PlannedArm(champion), PlannedArm(offer.candidate.version, CANDIDATE))
        return PlannedArms(arms, offer.assignment, offer.weights)

    def loaded(self, key: ModelKey) -> ServedModel | None:
        """Return the candidate, if it is asked for, also one whose last batch is still going on."""
        with self._guard:
            models = (self._offer.candidate, *self._retired)
        return next((model for model in models if model is not None and model.key == key), None)

    @contextmanager
    def lease(self, key: ModelKey) -> Iterator[ServedModel]:
        """Use a candidate that was planned with until the block ends; it is not released before.

        Raises:
            ModelNotFoundError: it is not held any more.
        """
        model = self.loaded(key)
        if model is None:
            raise ModelNotFoundError(f"{key} was planned with and is not loaded any more")
        self._leases[id(model)] += 1
        try:
            yield model
        finally:
            self._leases[id(model)] -= 1

    def give_up(self, reason: str) -> None:
        """Plan the champion alone until another offer is made."""
        with self._guard:
            if self._offer.key is not None:
                self._failure = reason

    def close(self) -> None:
        """Release what is held; no batch may be going on."""
        self.offer(ArmOffer())
        self._release_retired()

    def _release_retired(self) -> None:
        with self._guard:
            free = [model for model in self._retired if not self._leases[id(model)]]
            self._retired = [model for model in self._retired if self._leases[id(model)]]
        for model in free:
            self._release(model)


class CombinedArms:
    """Puts the versions of a plan's arms together; the same ones are the same object from batch to batch."""

    def __init__(self) -> None:
        self._last: tuple[PlannedArms, Sequence[ServedModel], ServedModel] | None = None

    def __call__(self, models: Sequence[ServedModel], arms: PlannedArms) -> ServedModel:
        """Return the one version, or what scores each row by its arm's.

        It has a row pass if each version has one, and frames in which the champion's decoder reads.
        """
        if arms.assignment is None:
            return models[0]
        # A kept plan is one object's: a new one for each batch would be planned for each batch.
        if self._last is None or self._last[0] != arms or not _are(self._last[1], models):
            self._last = arms, models, _combined(models, [arm.role for arm in arms.arms], arms.assignment)
        return self._last[2]


def _combined(models: Sequence[ServedModel], roles: Sequence[str], assignment: ArmAssignment) -> ServedModel:
    references = tuple(model.reference for model in models)
    number = arm_number(assignment, roles, F.col(c.KEY), F.col(c.EVENT_ID))
    passes = tuple(model.row_pass for model in models if isinstance(model.row_pass, JsonRowPass))
    numbers_of = partial(assignment.numbers_of, roles)
    return replace(
        references[0],
        scorer=ArmScorer(references, number),
        row_pass=ArmPass(passes, numbers_of) if len(passes) == len(models) else None,
    )


def _are(these: Sequence[ServedModel], those: Sequence[ServedModel]) -> bool:
    return len(these) == len(those) and all(a is b for a, b in zip(these, those, strict=True))
