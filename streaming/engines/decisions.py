"""Which versions a batch is planned with, written to the ledger: at first, and again when it cannot be answered so."""

from __future__ import annotations

from dataclasses import replace

from schemas.prediction import DegradedReason
from streaming.engines.chain import RowsThrewError
from streaming.engines.exact_ports import ExactPorts
from streaming.engines.planner import Planner
from streaming.errors import LookupUnavailableError, ModelNotFoundError, ScoringError, TooSlowError
from streaming.ledger.arms import PlannedArms
from streaming.ledger.degraded import DegradedPart
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelVersion
from streaming.offsets import Ranges


class PlanDecisions:
    """Makes the plans of one query's batches; each is in the ledger when it is returned."""

    def __init__(self, ports: ExactPorts, planner: Planner) -> None:
        """Take what the engine is connected to, and what numbers plans."""
        self._ports = ports
        self._planner = planner

    def decide(self, batch: int, ranges: Ranges) -> Plan:
        """Return the ledger's plan for these ranges if there is one, else a new one by what serves.

        Raises:
            ModelNotFoundError: nothing serves, and no chain answers in its place.
        """
        earlier = self._ports.ledger.find(self._ports.checkpoint.id(), ranges)
        if earlier is not None:
            return self._looked_up(earlier)
        served = self._ports.slot.current()
        part = self._ports.chain.at_plan(None if served is None else served.version)
        if part is not None:
            return self._recorded(self._plan(batch, ranges, PlannedArms.only(part.version)), (part,))
        if served is None:
            raise ModelNotFoundError("no model version is loaded yet; the job must not start its query before one is")
        arms = self._ports.arms.planned(served.version, self._ports.slot.held)
        return self._recorded(self._plan(batch, ranges, replace(arms, lookup=self._ports.lookups.planned())))

    def with_rows(self, plan: Plan, rows: RowsThrewError) -> Plan:
        """Plan a batch again, of which the chain answers rows."""
        return self._recorded(self._plan(plan.batch, plan.ranges, plan.arms, str(rows)), rows.parts)

    def with_lookup(self, plan: Plan, problem: LookupUnavailableError) -> Plan:
        """Plan a batch again whose state of the lookup table the workers could not read."""
        self._ports.lookups.failed(str(problem))
        arms = replace(plan.arms, lookup=self._ports.lookups.planned())
        return self._recorded(self._plan(plan.batch, plan.ranges, arms, str(problem)))

    def after(self, plan: Plan, problem: ScoringError, failures: int) -> Plan:
        """Plan a batch again on which its versions have failed so often.

        Next comes the champion alone, then what the chain has, or the last good version.

        Raises:
            ScoringError: nothing is left that could answer it.
        """
        reason = f"{plan.arms} failed {failures} {'time' if failures == 1 else 'times'}: {problem}"
        if len(plan.arms.arms) > 1:
            self._ports.arms.give_up(reason)
            return self._recorded(self._plan(plan.batch, plan.ranges, self._alone(plan, plan.version), reason))
        is_slow = isinstance(problem, TooSlowError)
        part = self._ports.chain.after(plan, DegradedReason.TOO_SLOW if is_slow else DegradedReason.THREW)
        if part is not None:
            again = self._plan(plan.batch, plan.ranges, PlannedArms.only(part.version), reason)
            return self._recorded(again, (part,))
        rolls_back = self._ports.chain.rolls_back
        serving = self._ports.fallback.roll_back(plan.version.key, reason) if rolls_back else None
        if serving is None or serving.key == plan.version.key:
            raise ScoringError(
                f"{plan.version} cannot score batch {plan.batch} and no good version is left: {problem}. Nothing of the"
                " batch is lost: name a version that can score it, or let more rows become dead letters"
                " (engine.max_poison_rows), and start again."
            )
        return self._recorded(self._plan(plan.batch, plan.ranges, self._alone(plan, serving.version), reason))

    def _looked_up(self, earlier: Plan) -> Plan:
        """Return a plan that is there already; one without a state of today's table is made anew with one."""
        lookups, before = self._ports.lookups, earlier.arms.lookup
        state = None if before is not None and lookups.has(before) else lookups.planned()
        if state is None:
            return earlier
        arms = replace(PlannedArms.only(earlier.version), lookup=state)
        reason = f"plan {earlier.id} has no state of the lookup table"
        return self._recorded(self._plan(earlier.batch, earlier.ranges, arms, reason))

    @staticmethod
    def _alone(plan: Plan, version: ModelVersion) -> PlannedArms:
        return replace(PlannedArms.only(version), lookup=plan.arms.lookup)

    def _plan(self, batch: int, ranges: Ranges, arms: PlannedArms, reason: str = "") -> Plan:
        return self._planner.plan(self._ports.checkpoint.id(), batch, ranges, arms, reason)

    def _recorded(self, plan: Plan, degraded: tuple[DegradedPart, ...] = ()) -> Plan:
        plan = replace(plan, degraded=degraded)
        self._ports.ledger.record_plan(plan)
        return plan
