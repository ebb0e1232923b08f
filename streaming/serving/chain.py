"""The fallback chain of a server: which version answers a pass, or single events of it, when the champion cannot.

The rules are those of :mod:`streaming.engines.chain`, without a plan: a request is answered once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from schemas.prediction import DegradedReason
from streaming.errors import ModelNotFoundError
from streaming.models.circuits import Circuit, Circuits, CircuitState
from streaming.models.ref import ABSENT, ModelKey, ModelVersion
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.serving.arms import ArmsOf, Degraded, ServedArm, ServedArms
from streaming.serving.stand_ins import StandIns

THROWN_RUNNING = 20
"""Events running on which a version throws, before they count as a failure: a single one may be its own fault."""


class ServedChain:
    """Decides for each pass; safe from every thread.

    It is what lanes lease versions from, in the place of the slot, and an :data:`streaming.serving.arms.ArmsOf`.
    """

    def __init__(self, model: str, stand_ins: StandIns, circuits: Circuits, beside: ArmsOf | None = None) -> None:
        """Begin with every circuit closed.

        Args:
            model: the name of the server's model.
            stand_ins: what follows the champion.
            circuits: say which versions are asked; they are used under a lock alone.
            beside: gives the champion's arms where a rollout is followed.
        """
        self.beside = beside
        self._model = model
        self._stand_ins = stand_ins
        self._circuits = circuits
        self._thrown: dict[ModelKey, int] = {}
        self._arms: dict[tuple[ModelKey, str, ModelKey], ServedArm] = {}
        self._alone: ServedArms | None = None
        self._guard = threading.Lock()

    @property
    def _slot(self) -> Slot:
        return self._stand_ins.slot

    def current(self) -> ServedModel | None:
        """Return what answers now; ``None`` where nothing can. Only the event loop asks.

        A pause that is over ends here, and not when a pass begins: where that runs was decided by this answer.
        """
        champion = self._slot.current()
        if champion is not None and self._admits(champion):
            return champion
        return next(self._admitted(champion), champion)

    def wait(self, seconds: float) -> ServedModel | None:
        """Wait up to ``seconds`` until the fallback version was tried; return as :meth:`following`."""
        self._stand_ins.wait(seconds)
        return self.following()

    def following(self) -> ServedModel | None:
        """Return what would answer in the champion's place; ``None`` where nothing can."""
        return next(self._admitted(self._slot.current()), None)

    @contextmanager
    def lease(self) -> Iterator[ServedModel]:
        """Use what answers until the block ends.

        Raises:
            ModelNotFoundError: no champion is loaded, and nothing can answer in its place.
        """
        champion = self._slot.current()
        is_asked = champion is not None and self._circuits.state(champion.key) is not CircuitState.OPEN
        stand_in = None if is_asked else next(self._admitted(champion), None)
        if stand_in is not None:
            yield stand_in
            return
        with self._slot.lease() as model:
            yield model

    @contextmanager
    def lease_next(self) -> Iterator[ServedModel]:
        """Use what answers in the place of the champion, which is too slow, until the block ends.

        Raises:
            ModelNotFoundError: there is nothing.
        """
        stand_in = self.following()
        if stand_in is None:
            raise ModelNotFoundError("nothing follows the champion")
        yield stand_in

    def __call__(self, model: ServedModel) -> ServedArms:
        """Return the arms of a pass that has leased ``model``."""
        champion = self._slot.current()
        if champion is None or model.key != champion.key:
            return ServedArms(self._arm(model, self._reason(champion), champion))
        if self.beside is not None:
            return self.beside(model)
        # The same arm as long as the version is the same: answers are told apart by their arms.
        alone = self._alone
        if alone is None or alone.champion.model is not model:
            alone = self._alone = ServedArms(ServedArm(model))
        return alone

    def after(self, arm: ServedArm) -> Iterator[ServedArm]:
        """Yield who may answer a single event on which an arm's version throws."""
        champion, is_behind = self._slot.current(), arm.degraded is None
        for stand_in in self._admitted(champion):
            if is_behind and stand_in.key != arm.model.key:
                yield self._arm(stand_in, DegradedReason.THREW.value, champion)
            # Who stands in already is followed by what comes behind it in the chain.
            is_behind = is_behind or stand_in.key == arm.model.key

    def threw(self, model: ServedModel) -> None:
        """Note that a version threw on a single event."""
        with self._guard:
            self._thrown[model.key] = thrown = self._thrown.get(model.key, 0) + 1
            if thrown % THROWN_RUNNING == 0 or self._circuits.state(model.key) is CircuitState.HALF_OPEN:
                self._failed(model, DegradedReason.THREW)

    def answered(self, model: ServedModel) -> None:
        """Note that a version has answered an event, whether or not somebody still waited for that."""
        if self._circuits.get(model.key) is None and model.key not in self._thrown:
            return
        with self._guard:
            self._thrown.pop(model.key, None)
            self._succeeded(model, in_time=False)

    def answered_in_time(self, model: ServedModel) -> None:
        """Note that a version has answered a request."""
        if self._circuits.get(model.key) is None:
            return
        with self._guard:
            self._succeeded(model, in_time=True)

    def bounds(self, model: ServedModel) -> bool:
        """Return whether a version is the champion, and something else could answer in its place."""
        return model is self._slot.current() and self.following() is not None

    def slow(self, model: ServedModel) -> None:
        """Note that a version did not answer in time."""
        with self._guard:
            self._failed(model, DegradedReason.TOO_SLOW)

    def standing(self) -> dict[str, Any]:
        """Return what ``/health`` says of it."""
        champion = self._slot.current()
        versions = [*([] if champion is None else [champion]), *self._stand_ins.following(champion)]
        answers = self.current()
        return {
            "answers": None if answers is None else str(answers.key),
            "circuits": {str(version.key): self._circuits.state(version.key).value for version in versions},
            "problem": self._stand_ins.problem or None,
        }

    def _reason(self, champion: ServedModel | None) -> str:
        if champion is None:
            return DegradedReason.NOT_LOADED.value
        circuit = self._circuits.get(champion.key)
        return DegradedReason.TOO_SLOW.value if circuit is None else circuit.reason

    def _arm(self, model: ServedModel, reason: str, champion: ServedModel | None) -> ServedArm:
        instead_of = ModelVersion(self._model, ABSENT) if champion is None else champion.version
        key = model.key, reason, instead_of.key
        arm = self._arms.get(key)
        if arm is None or arm.model is not model:
            # Only those of the present champion are met again.
            self._arms = {names: arm for names, arm in self._arms.items() if names[2] == instead_of.key}
            arm = self._arms[key] = ServedArm(model, degraded=Degraded(reason, instead_of))
        return arm

    def _admitted(self, champion: ServedModel | None) -> Iterator[ServedModel]:
        return (stand_in for stand_in in self._stand_ins.following(champion) if self._admits(stand_in))

    def _admits(self, model: ServedModel) -> bool:
        if self._circuits.get(model.key) is None:
            return True
        with self._guard:
            return self._circuits.move(model.version, Circuit.admits)

    def _failed(self, model: ServedModel, reason: DegradedReason) -> None:
        self._circuits.move(model.version, lambda circuit: circuit.failed(reason.value))

    def _succeeded(self, model: ServedModel, *, in_time: bool) -> None:
        """Close a version's circuit by an answer, or by one in time if it was too slow."""
        circuit = self._circuits.get(model.key)
        if circuit is None or (circuit.reason == DegradedReason.TOO_SLOW.value) != in_time:
            return
        # What ends while the circuit is open was begun before that.
        if circuit.state is not CircuitState.OPEN:
            self._circuits.forget(model.version)
