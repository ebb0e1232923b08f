"""What scores a batch: its versions proven by a good row, put together as arms, and trusted to their row passes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial

import structlog
from pyspark.sql import DataFrame

from streaming.engines.arms import CombinedArms
from streaming.engines.degraded_rows import with_degraded_rows
from streaming.engines.known_good import KnownGoodRows
from streaming.ledger.arms import PlannedArms
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_UNEXPLAINED = 3
"""Batches on which a version's row pass failed and its reference did not, after which the reference scores them all.
"""


class BatchScorers:
    """Makes what scores one query's batches; only the batch thread uses it."""

    def __init__(self) -> None:
        """Begin without a proven version, and with trust in every row pass."""
        self._known_good: defaultdict[str, KnownGoodRows] = defaultdict(KnownGoodRows)
        self._together = CombinedArms()
        self._unexplained: Counter[frozenset[ModelKey]] = Counter()

    def scoring(self, records: DataFrame, plan: Plan, served: Sequence[ServedModel]) -> ServedModel:
        """Return what scores the batch: the version of the arms, or of several, and of rows that the chain answers.

        Args:
            records: the batch, of which rows may prove that a version can score.
            plan: names the arms and the rows.
            served: the versions, as :meth:`streaming.engines.plan_versions.PlanVersions.of` lends them.

        Raises:
            ScoringError: a version throws on each row that could prove it.
        """
        rows = [part for part in plan.degraded if part.rows]
        roles = [arm.role for arm in plan.arms.arms] + [str(part.version.key) for part in rows]
        proven = [
            self._known_good[role](loaded, partial(loaded.decoder, records))
            for role, loaded in zip(roles, served, strict=True)
        ]
        of_arms = proven[: len(plan.arms.arms)]
        if rows:
            return with_degraded_rows(of_arms, plan.arms, rows, proven[len(of_arms) :])
        trusted = [self._trusted(own, frozenset({own.key})) for own in of_arms]
        return self._trusted(self._together(trusted, plan.arms), plan.arms.keys)

    def distrust(self, model: ServedModel, arms: PlannedArms) -> None:
        """Note that a try failed, and that the reference throws on no row."""
        if model.row_pass is None:
            return
        # A failure of two versions together does not tell which one failed, so it counts for the pair alone.
        self._unexplained[arms.keys] += 1
        _log.warning("the one pass failed on rows on which the reference does not", model=str(arms))

    def _trusted(self, model: ServedModel, versions: frozenset[ModelKey]) -> ServedModel:
        """Return the versions as they are, or by the reference alone if their row pass threw where that does not."""
        return model if self._unexplained[versions] < _UNEXPLAINED else model.reference
