"""The rollouts of an application, folded from the ledger's records: the same for whoever reads the same records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce

from streaming.clock import instant
from streaming.errors import ConfigurationError
from streaming.rollout.machine import order
from streaming.rollout.record_type import ROLLOUT_RECORD
from streaming.rollout.records import (
    Declaration,
    Fields,
    OrderGiven,
    RecordKind,
    Transition,
    Weights,
)
from streaming.rollout.states import FINISHED, RolloutPhase, RolloutState, RolloutTime, planned
from streaming.rollout.verdict import RolloutVerdict


@dataclass(frozen=True)
class Rollout:
    """One rollout as far as it is recorded.

    ``latest`` is its last transition, ``pending`` the orders since that, ``verdict`` the judge's latest, of whatever
    step.
    """

    declaration: Declaration
    latest: Transition
    pending: tuple[OrderGiven, ...] = ()
    verdict: RolloutVerdict | None = None

    @classmethod
    def declared(cls, declaration: Declaration) -> Rollout:
        """Return the rollout before anything has happened to it."""
        at = instant(declaration.at)
        state = planned(RolloutTime(at, at))
        return cls(declaration, Transition(declaration, 0, 0, state, weights=Weights(), at=declaration.at))

    @property
    def state(self) -> RolloutState:
        """The state that the job recorded last."""
        return self.latest.state

    def after_orders(self, now: RolloutTime) -> RolloutState:
        """Return the state that the pending orders make of it; those that have no meaning in it are passed over."""
        state = self.state
        for unread in self.pending:
            try:
                state = order(state, self.declaration.plan, unread.order, now)
            except ConfigurationError:
                # Two people may order at the same time, and the second order may have lost its meaning.
                continue
        return state

    @property
    def has_ended(self) -> bool:
        """True once its last state is recorded and nothing was ordered since."""
        return self.state.phase in FINISHED and not self.pending

    @property
    def is_finished(self) -> bool:
        """True where another rollout may be declared: it has ended, or will once the job has read its orders."""
        return self.after_orders(self.state.since).phase in FINISHED

    @property
    def gate(self) -> str:
        """The name of the present step as a gate: ``flights-8/2``, or ``flights-8/probation``."""
        step = "probation" if self.state.phase is RolloutPhase.PROBATION else self.state.step + 1
        return f"{self.declaration.name}/{step}"

    @property
    def present_verdict(self) -> RolloutVerdict | None:
        """The verdict if it is of the present step; that of an earlier one decides nothing."""
        verdict = self.verdict
        return verdict if verdict and verdict.weight_epoch == self.latest.weights.epoch else None

    def ordered(self, order_given: OrderGiven) -> Rollout:
        """Return it with one more pending order."""
        return replace(self, pending=(*self.pending, order_given))

    def moved(self, to: Transition) -> Rollout:
        """Return it after a transition. One that is written twice counts once."""
        if to.number <= self.latest.number:
            return self
        return replace(self, latest=to, pending=self.pending[to.orders - self.latest.orders :])


@dataclass(frozen=True)
class RolloutHistory:
    """All rollouts of an application, of which the last may be unfinished."""

    application: str
    rollouts: tuple[Rollout, ...] = field(default=())

    @classmethod
    def of(cls, application: str, records: Iterable[Fields]) -> RolloutHistory:
        """Return the history after records of the ledger; see :meth:`after`."""
        return reduce(cls.after, records, cls(application))

    @property
    def current(self) -> Rollout | None:
        """The latest rollout, unfinished or not."""
        return self.rollouts[-1] if self.rollouts else None

    def after(self, record: Fields) -> RolloutHistory:
        """Return the history after a record of the ledger; those of other applications or types are passed over.

        The first of two declarations at the same time counts. Orders, transitions and verdicts count for the latest
        rollout alone. A transition of a rollout whose declaration has expired brings the declaration with it.
        """
        if (record.get("type"), record.get("application")) != (ROLLOUT_RECORD, self.application):
            return self
        current, name, kind = self.current, record.get("rollout"), record.get("kind")
        if kind == RecordKind.DECLARATION and (current is None or current.is_finished):
            return self._with(name, Rollout.declared(Declaration.from_dict(record)))
        if kind == RecordKind.TRANSITION and current is None:
            move = Transition.from_dict(record)
            return replace(self, rollouts=(Rollout(move.declaration, move),))
        if current is None or current.declaration.name != name:
            return self
        if kind == RecordKind.ORDER:
            return self._now(current.ordered(OrderGiven.from_dict(record)))
        if kind == RecordKind.VERDICT:
            return self._now(replace(current, verdict=RolloutVerdict.from_dict(record)))
        return self._now(current.moved(Transition.from_dict(record))) if kind == RecordKind.TRANSITION else self

    def salt_of(self, model: str) -> str | None:
        """Return the salt of the model's latest rollout, so that the same keys meet the next candidate."""
        salts = (r.declaration.salt for r in reversed(self.rollouts) if r.declaration.candidate.name == model)
        return next(salts, None)

    def free_name(self, base: str) -> str:
        """Return a name that no rollout has: ``flights-8``, or else ``flights-8.2`` and so on."""
        names = {rollout.declaration.name for rollout in self.rollouts}
        numbers = range(2, len(names) + 2)
        return next(name for name in (base, *(f"{base}.{number}" for number in numbers)) if name not in names)

    def _with(self, name: str | None, rollout: Rollout) -> RolloutHistory:
        if any(earlier.declaration.name == name for earlier in self.rollouts):
            return self
        return replace(self, rollouts=(*self.rollouts, rollout))

    def _now(self, current: Rollout) -> RolloutHistory:
        return replace(self, rollouts=(*self.rollouts[:-1], current))
