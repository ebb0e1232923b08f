"""A rollout followed by a server: the ledger's records to the arms that answer, on a thread beside the requests.

The server decides nothing and writes nothing. Whoever runs the rollout records a step before it answers by it, and the
server assigns keys as that record says. While the ledger does not answer, the last step stays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from streaming.clock import Clock, system_clock
from streaming.errors import PenstockError
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.history import Rollout, RolloutHistory
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.rollout.states import JUDGED, RolloutPhase, RolloutTime
from streaming.serving.arms import ServedArm, ServedArms

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_LOOK_SECONDS = 0.5
_RETRY_SECONDS = 30.0
"""From a candidate that could not be loaded to the next try, unless the rollout moves before."""
_GRACE_SECONDS = 10.0
"""A pass that has taken a candidate's arm is over by then."""


class LedgerRecords(Protocol):
    """The ledger's records as far as they concern rollouts; ``adapters/kafka/ledger_tail.py`` implements it."""

    def to_end(self) -> Iterable[Mapping[str, Any]]:
        """Return all records that were not returned before, and not less."""
        ...

    def fresh(self, seconds: float) -> Iterable[Mapping[str, Any]]:
        """Return what has come since, after up to ``seconds`` if nothing has."""
        ...


@dataclass(frozen=True)
class RolloutSource:
    """What following is connected to.

    Attributes:
        application: whose rollouts they are.
        model: the name of the model that is served.
        slot: says which version serves, and which are on hold.
        records: the ledger's.
        load: returns a version that has passed every check; raises ``PenstockError``.
        release: gives it back.
        clock: the present time.
    """

    application: str
    model: str
    slot: Slot
    records: LedgerRecords
    load: Callable[[ModelKey], ServedModel]
    release: Callable[[ServedModel], None]
    clock: Clock = system_clock


@dataclass(frozen=True, eq=False)
class _Step:
    """The step of a rollout by which the server answers; without ``weights`` it takes part in none.

    Without ``candidate`` the key's version answers where it serves anyway. ``in_shadow`` it has no keys.
    """

    key: ModelKey | None = None
    weights: WeightEpoch | None = None
    candidate: ServedModel | None = None
    assignment: ArmAssignment | None = None
    in_shadow: bool = False

    def arms(self, model: ServedModel, held: frozenset[ModelKey]) -> ServedArms:
        """Return the arms while ``model`` serves, as :meth:`streaming.engines.arms.CandidateArms.planned` does."""
        if self.key in held:
            return ServedArms(ServedArm(model))
        if self.in_shadow or self.key == model.key:
            return ServedArms(ServedArm(model, CHAMPION, self.weights))
        if self.candidate is None:
            return ServedArms(ServedArm(model))
        candidate = ServedArm(self.candidate, CANDIDATE, self.weights)
        return ServedArms(ServedArm(model, CHAMPION, self.weights), candidate, self.assignment)


@dataclass
class RolloutArms:
    """Follows between :meth:`start` and :meth:`stop`; called, it is an :data:`streaming.serving.arms.ArmsOf`."""

    source: RolloutSource
    problem: str = ""
    """Why the server does not do what the ledger says, or does not know what it says."""
    _step: _Step = field(default_factory=_Step)
    _arms: tuple[ServedModel, _Step, frozenset[ModelKey], ServedArms] | None = None
    _retired: list[tuple[ServedModel, float]] = field(default_factory=list)
    _is_complete: bool = False
    _failed: tuple[int, float] | None = None
    """The number of the transition whose candidate could not be loaded, and when to try again."""

    def __post_init__(self) -> None:
        """Make the thread."""
        self._history = RolloutHistory(self.source.application)
        self._stopping, self._ready = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)

    def __call__(self, model: ServedModel) -> ServedArms:
        """Return the arms of the next pass while ``model`` serves."""
        last, step, held = self._arms, self._step, self.source.slot.held
        if last is None or last[0] is not model or last[1] is not step or last[2] is not held:
            last = self._arms = model, step, held, step.arms(model, held)
        return last[3]

    def start(self, seconds: float) -> None:
        """Begin, and wait up to ``seconds`` for the first look, which loads the candidate of an unfinished rollout."""
        self._thread.start()
        self._ready.wait(seconds)

    def stop(self, seconds: float = 10.0) -> None:
        """End, and give the candidate back; no pass may be going on."""
        self._stopping.set()
        self._thread.join(seconds)
        self._take(_Step())
        self._release(float("inf"))

    def latest(self) -> dict[str, Any] | None:
        """Return where the latest rollout stands by the ledger; ``None`` without one."""
        rollout = self._history.current
        return None if rollout is None else rollout.latest.summary()

    def standing(self) -> dict[str, Any]:
        """Return what ``/health`` says of it."""
        step = self._step
        return {
            "rollout": step.weights.rollout if step.weights else None,
            "weight_epoch": step.weights.epoch if step.weights else None,
            "candidate": step.candidate.version.version if step.candidate else None,
            "problem": self.problem or None,
        }

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look(_LOOK_SECONDS if self._is_complete else 0.0)
            except PenstockError as problem:
                self._troubled(f"the ledger cannot be followed: {problem}")
            # The thread must outlive every surprise, or the server would silently stop following.
            except Exception as problem:
                _log.exception("the rollout could not be followed")
                self._troubled(repr(problem))
            finally:
                self._ready.set()

    def _troubled(self, problem: str) -> None:
        self._note(problem)
        self._is_complete = False
        self._stopping.wait(_LOOK_SECONDS)

    def _note(self, problem: str) -> None:
        if problem and self.problem != problem:
            _log.warning("the rollout is not followed for now; the arms stay", problem=problem)
        self.problem = problem

    def look(self, seconds: float) -> None:
        """Read what has come, waiting up to ``seconds`` for it, and answer by it from the next pass on.

        Raises:
            PenstockError: the broker does not answer.
        """
        records = self.source.records.fresh(seconds) if self._is_complete else self.source.records.to_end()
        for record in records:
            self._history = self._history.after(record)
        self._is_complete = True
        rollout = self._history.current
        self._note("" if rollout is None else self._followed(rollout))
        if rollout is None:
            self._take(_Step())
        self._release(time.monotonic())

    def _followed(self, rollout: Rollout) -> str:
        """Take part in the rollout's step; return why that cannot be."""
        now = self.source.clock()
        # What has been ordered and not yet done can only end the candidate's part: a step begins when it is recorded.
        phases = {rollout.state.phase, rollout.after_orders(RolloutTime(now, now)).phase}
        key = rollout.declaration.candidate
        if not phases <= JUDGED or key.name != self.source.model:
            self._take(_Step())
            return ""
        weights = WeightEpoch(rollout.declaration.name, rollout.latest.weights.epoch)
        in_shadow = rollout.state.share(rollout.declaration.plan) == 0
        serving = self.source.slot.current()
        if in_shadow or rollout.state.phase is RolloutPhase.PROBATION or (serving and serving.key == key):
            self._take(_Step(key, weights, in_shadow=in_shadow))
            return ""
        return self._with_candidate(rollout, weights)

    def _with_candidate(self, rollout: Rollout, weights: WeightEpoch) -> str:
        key, number = rollout.declaration.candidate, rollout.latest.number
        candidate = self._step.candidate if self._step.key == key else None
        if candidate is None:
            if self._failed is not None and self._failed[0] == number and time.monotonic() < self._failed[1]:
                return self.problem
            try:
                candidate = self.source.load(key)
            except PenstockError as problem:
                self._failed = number, time.monotonic() + _RETRY_SECONDS
                # Without it the rollout's keys are the champion's, as they are in a job that cannot load it.
                self._take(_Step())
                return f"the candidate {key} cannot be loaded: {problem}"
            _log.info("rollout candidate loaded", model=key.name, version=key.version)
        self._failed = None
        assignment = ArmAssignment(rollout.declaration.salt, rollout.latest.weights.intervals)
        self._take(_Step(key, weights, candidate, assignment))
        return ""

    def _take(self, step: _Step) -> None:
        before = self._step
        if (before.key, before.weights, before.candidate, before.in_shadow) == (
            step.key,
            step.weights,
            step.candidate,
            step.in_shadow,
        ):
            return
        self._step = step
        if before.candidate is not None and before.candidate is not step.candidate:
            self._retired.append((before.candidate, time.monotonic() + _GRACE_SECONDS))

    def _release(self, now: float) -> None:
        for retired in [retired for retired in self._retired if retired[1] <= now]:
            self._retired.remove(retired)
            self.source.release(retired[0])
