"""The fallback chain: which version answers a batch, or single rows, when the one before it in the chain cannot.

The chain is the champion, a fallback version, and the default score. Each version has a circuit. What the chain decides
is written into the plan before anything is answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from schemas.prediction import DegradedReason
from streaming.ledger.degraded import DegradedPart, Rows, whole
from streaming.ledger.plan import Plan
from streaming.models.circuits import Circuit, Circuits, CircuitState
from streaming.models.ref import ABSENT, DEFAULT_VERSION, ModelKey, ModelVersion
from streaming.models.seams import Poison
from streaming.models.served import ServedModel


class RowsThrewError(Exception):
    """Rows throw and the chain has an answer to them: the batch is to be planned again, with these parts."""

    def __init__(self, parts: tuple[DegradedPart, ...]) -> None:
        rows = sum(len(part.rows) for part in parts)
        super().__init__(f"{rows} {'row is' if rows == 1 else 'rows are'} answered by the fallback chain")
        self.parts = parts


class ChainLinks(Protocol):
    """The versions of the chain after the champion; :class:`streaming.engines.links.LoadedLinks` has them."""

    @property
    def default(self) -> ModelVersion | None:
        """The version under which the default score answers."""
        ...

    @property
    def score(self) -> Mapping[str, Any] | None:
        """The default score, as its settings read."""
        ...

    def fallback_version(self, champion: ModelKey, /) -> ModelVersion | None:
        """Return the version that follows a champion, loaded; ``None`` if there is none or it cannot be loaded."""
        ...

    def loaded(self, key: ModelKey, /) -> ServedModel | None:
        """Return one of them that the slot does not have."""
        ...


class NoChain:
    """The chain of a job without one: rows that throw are dead letters, and a version that fails is rolled back."""

    rolls_back = True

    def at_plan(self, serving: ModelVersion | None) -> DegradedPart | None:  # noqa: ARG002 - whatever serves, answers
        """Return what answers the next batch in the place of the serving version; ``None`` if that does itself.

        Without a serving version it is what follows it, if anything does.
        """
        return None

    def is_on_trial(self, version: ModelVersion) -> bool:  # noqa: ARG002 - without circuits there are no trials
        """Return whether the next failure of a version opens its circuit again."""
        return False

    def after(self, plan: Plan, reason: DegradedReason) -> DegradedPart | None:  # noqa: ARG002 - nothing follows
        """Return what takes a batch on which its version has failed; ``None`` if nothing is left."""
        return None

    def for_rows(self, plan: Plan, rows: Poison) -> tuple[DegradedPart, ...]:  # noqa: ARG002 - nothing follows
        """Return the plan's parts once each of these rows, which throw, is answered by what follows in the chain.

        They are the plan's own if nothing follows for any row.
        """
        return plan.degraded

    def answered(self, version: ModelVersion) -> None:
        """Note that a version has answered its batch."""

    def bound(self, plan: Plan) -> float | None:  # noqa: ARG002 - nothing could take its batch
        """Return the seconds that a plan's batch may take; ``None`` if it may take any time."""
        return None

    def loaded(self, key: ModelKey) -> ServedModel | None:  # noqa: ARG002 - it has no versions
        """Return a version of the chain that the slot does not have."""
        return None


class FallbackChain(NoChain):
    """Decides; the engine plans. Only the batch thread uses it."""

    rolls_back = False

    def __init__(self, model: str, links: ChainLinks, circuits: Circuits) -> None:
        """Begin with every circuit closed.

        Args:
            model: the name of the job's model.
            links: what follows the champion.
            circuits: say which versions are asked.
        """
        self._model = model
        self._links = links
        self._circuits = circuits

    def at_plan(self, serving: ModelVersion | None) -> DegradedPart | None:
        """See :meth:`NoChain.at_plan`."""
        if serving is not None and self._circuits.move(serving, Circuit.admits):
            return None
        circuit = None if serving is None else self._circuits.get(serving.key)
        reason = DegradedReason.NOT_LOADED.value if circuit is None else circuit.reason
        champion = serving or ModelVersion(self._model, ABSENT)
        following = next(self._following(champion, champion), None)
        return None if following is None else self._part(reason, following, champion)

    def is_on_trial(self, version: ModelVersion) -> bool:
        """See :meth:`NoChain.is_on_trial`."""
        return self._circuits.state(version.key) is CircuitState.HALF_OPEN

    def after(self, plan: Plan, reason: DegradedReason) -> DegradedPart | None:
        """See :meth:`NoChain.after`; the failure counts in the version's circuit."""
        self._circuits.move(plan.version, lambda circuit: circuit.failed(reason.value))
        champion = _champion_of(plan)
        following = next(self._following(plan.version, champion), None)
        return None if following is None else self._part(reason.value, following, champion)

    def for_rows(self, plan: Plan, rows: Poison) -> tuple[DegradedPart, ...]:
        """See :meth:`NoChain.for_rows`. A few rows are their own fault, so no circuit counts them."""
        if not rows:
            return plan.degraded
        base, champion = whole(plan.degraded), _champion_of(plan)
        answering = {row: part.version for part in plan.degraded for row in part.rows}
        for row in rows:
            following = next(self._following(answering.get(row, plan.version), champion), None)
            if following is not None:
                answering[row] = following
        by_version: dict[ModelVersion, list[tuple[int, int]]] = {}
        for row, version in sorted(answering.items(), key=lambda item: item[0]):
            by_version.setdefault(version, []).append(row)
        threw = DegradedReason.THREW.value
        parts = tuple(self._part(threw, version, champion, tuple(own)) for version, own in by_version.items())
        return parts if base is None else (base, *parts)

    def answered(self, version: ModelVersion) -> None:
        """See :meth:`NoChain.answered`; its circuit closes."""
        self._circuits.move(version, Circuit.succeeded)

    def bound(self, plan: Plan) -> float | None:
        """See :meth:`NoChain.bound`; the last of the chain has no bound, as nothing could take its batch."""
        if self._circuits.policy.batch_seconds is None:
            return None
        following = next(self._following(plan.version, _champion_of(plan)), None)
        return None if following is None else self._circuits.policy.batch_seconds

    def loaded(self, key: ModelKey) -> ServedModel | None:
        """See :meth:`NoChain.loaded`."""
        return self._links.loaded(key)

    def _part(self, reason: str, version: ModelVersion, champion: ModelVersion, rows: Rows = ()) -> DegradedPart:
        score = self._links.score if version.version == DEFAULT_VERSION else None
        return DegradedPart(reason, version, champion, rows, score)

    def _following(self, version: ModelVersion, champion: ModelVersion) -> Iterator[ModelVersion]:
        """Yield what comes after a version in the chain and may be asked."""
        links = (champion, self._links.fallback_version(champion.key), self._links.default)
        chain = [link for link in links if link is not None]
        keys = [link.key for link in chain]
        position = keys.index(version.key) if version.key in keys else 0
        behind = (link for link in chain[position + 1 :] if link.key != champion.key)
        yield from (link for link in behind if self._circuits.move(link, Circuit.admits))


def _champion_of(plan: Plan) -> ModelVersion:
    """Return who would have answered a plan's batch, were all well."""
    part = whole(plan.degraded)
    return plan.version if part is None else part.instead_of
