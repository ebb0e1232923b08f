"""The versions that a plan names, in use for as long as its batch: the slot's, the arms', the chain's, or recalled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from streaming.engines.exact_ports import ExactPorts
from streaming.errors import ModelNotFoundError
from streaming.ledger.degraded import DegradedPart, whole
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel


class PlanVersions:
    """Lends the versions of plans; only the batch thread uses it."""

    def __init__(self, ports: ExactPorts) -> None:
        """Take where versions are."""
        self._ports = ports

    @contextmanager
    def of(self, plan: Plan) -> Iterator[list[ServedModel]]:
        """Use the planned version of each arm, then those that answer single rows.

        Raises:
            ModelNotFoundError: a version is not loaded, and the registry does not have it any more.
            RegistryUnavailableError: a version has to be loaded, and the registry does not answer.
        """
        base = whole(plan.degraded)
        with ExitStack() as stack:
            if base is not None:
                models = [self._stand_in(base, stack)]
            else:
                models = [self._version(arm.version.key, stack) for arm in plan.arms.arms]
            yield models + [self._stand_in(part, stack) for part in plan.degraded if part.rows]

    def _stand_in(self, part: DegradedPart, stack: ExitStack) -> ServedModel:
        """Use the version that answers a part, or its default score."""
        if part.score is None:
            return self._version(part.version.key, stack)
        return self._ports.default_scores(part.version, part.score, self._ports.slot.current())

    def _version(self, key: ModelKey, stack: ExitStack) -> ServedModel:
        """Use the slot's version if it is still there, or the arms' own, else one loaded for this batch alone."""
        try:
            return stack.enter_context(self._ports.slot.lease(key))
        except ModelNotFoundError:
            served = self._ports.arms.loaded(key) or self._ports.chain.loaded(key)
        if served is None:
            served = self._ports.fallback.recall(key)
            stack.callback(self._ports.fallback.release, served)
        return served
