"""The fallback chain of a server: which version answers a pass, or single events of it, when the champion cannot.

The rules are those of :mod:`streaming.engines.chain`, without a plan: a request is answered once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from schemas.prediction import DegradedReason
from streaming.circuit import Circuit, CircuitPolicy, CircuitState
from streaming.clock import Clock
from streaming.errors import ModelNotFoundError
from streaming.models.ref import ABSENT, ModelKey, ModelVersion
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.serving.arms import ArmsOf, Degraded, ServedArm, ServedArms
from streaming.serving.stand_ins import StandIns

THROWN_RUNNING = 20
"""Events running on which a version throws, before they count as a failure: a single one may be its own fault."""


class CircuitObserver(Protocol):
    """Hears of circuits."""

    def circuit_moved(self, version: ModelVersion, state: str) -> None:
        """A version's circuit has another state, a value of :class:`streaming.circuit.CircuitState`."""
        ...


class ServedChain:
    """Decides for each pass; safe from every thread.

    It is what lanes lease versions from, in the place of the slot, and an :data:`streaming.serving.arms.ArmsOf`.
    """

    def __init__(
        self, model: str, stand_ins: StandIns, policy: CircuitPolicy, clock: Clock, observer: CircuitObserver
    ) -> None:
        """Begin with every circuit closed.

        Args:
            model: the name of the server's model.
            stand_ins: what follows the champion.
            policy: of the circuits.
            clock: times their pauses.
            observer: is told of them.
        """
        self._model = model
        self._stand_ins = stand_ins
        self._policy = policy
        self._clock = clock
        self._observer = observer
        self._circuits: dict[ModelKey, Circuit] = {}
        self._thrown: dict[ModelKey, int] = {}
        self._arms: dict[tuple[ModelKey, str, ModelKey], ServedArm] = {}
        self._guard = threading.Lock()
        self.beside: ArmsOf | None = None
        """Gives the champion's arms where a rollout is followed."""

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
        is_asked = champion is not None and not self._is_open(champion)
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
        return ServedArms(ServedArm(model)) if self.beside is None else self.beside(model)

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
            if thrown % THROWN_RUNNING == 0 or self._circuit(model).state is CircuitState.HALF_OPEN:
                self._failed(model, DegradedReason.THREW)

    def answered(self, model: ServedModel) -> None:
        """Note that a version has answered an event, whether or not somebody still waited for that."""
        if model.key not in self._circuits and model.key not in self._thrown:
            return
        with self._guard:
            self._thrown.pop(model.key, None)
            circuit = self._circuits.get(model.key)
            if circuit is not None and circuit.reason != DegradedReason.TOO_SLOW.value:
                self._succeeded(model, circuit)

    def answered_in_time(self, model: ServedModel) -> None:
        """Note that a version has answered a request."""
        if model.key not in self._circuits:
            return
        with self._guard:
            circuit = self._circuits.get(model.key)
            if circuit is not None and circuit.reason == DegradedReason.TOO_SLOW.value:
                self._succeeded(model, circuit)

    def bounds(self, model: ServedModel | None) -> bool:
        """Return whether a version is the champion, and something else could answer in its place."""
        return model is not None and model is self._slot.current() and self.following() is not None

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
            "circuits": {str(version.key): self._state(version.key) for version in versions},
            "problem": self._stand_ins.problem or None,
        }

    def _state(self, key: ModelKey) -> str:
        circuit = self._circuits.get(key)
        return CircuitState.CLOSED.value if circuit is None else circuit.state.value

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

    def _is_open(self, model: ServedModel) -> bool:
        circuit = self._circuits.get(model.key)
        return circuit is not None and circuit.state is CircuitState.OPEN

    def _admits(self, model: ServedModel) -> bool:
        if model.key not in self._circuits:
            return True
        with self._guard:
            circuit = self._circuit(model)
            before = circuit.state
            admitted = circuit.admits()
            self._told(model, circuit, before)
            return admitted

    def _circuit(self, model: ServedModel) -> Circuit:
        return self._circuits.setdefault(model.key, Circuit(self._policy, self._clock))

    def _failed(self, model: ServedModel, reason: DegradedReason) -> None:
        circuit = self._circuit(model)
        before = circuit.state
        circuit.failed(reason.value)
        self._told(model, circuit, before)

    def _succeeded(self, model: ServedModel, circuit: Circuit) -> None:
        # What ends while the circuit is open was begun before that.
        if circuit.state is CircuitState.OPEN:
            return
        del self._circuits[model.key]
        if circuit.state is not CircuitState.CLOSED:
            self._observer.circuit_moved(model.version, CircuitState.CLOSED.value)

    def _told(self, model: ServedModel, circuit: Circuit, before: CircuitState) -> None:
        if circuit.state is not before:
            self._observer.circuit_moved(model.version, circuit.state.value)
