"""What becomes of looking columns up, brought to metrics, health and the log."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from streaming.operations.health import Health
from streaming.operations.lookup_metrics import LookupMetrics
from streaming.operations.metrics import FinishedBatch

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LookupNews:
    """Hears of finished batches, and is the table's :class:`streaming.engines.lookups.LookupObserver`."""

    metrics: LookupMetrics
    health: Health

    def batch_finished(self, batch: FinishedBatch) -> None:
        """Count a batch's lookups."""
        self.metrics.add(batch.outcome.lookups)

    def lookup_seen(self, problem: str, *, is_open: bool) -> None:
        """The table was asked for; what changes is logged."""
        self.metrics.seen(available=not problem, is_open=is_open)
        if problem == self.health.lookup_problem():
            return
        self.health.lookup(problem)
        if problem:
            _log.error("the lookup table cannot be read", problem=problem, breaker="open" if is_open else "closed")
        else:
            _log.info("the lookup table can be read again")
