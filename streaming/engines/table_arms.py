"""The one arm of a job with many models: its table, whose rows are in the ledger before a plan names it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from streaming.clock import Clock
from streaming.errors import ModelNotFoundError
from streaming.ledger.arms import MODELS, PlannedArms
from streaming.ledger.plan import Ledger
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.served import ServedModel

_WRITTEN_AGAIN = timedelta(days=1)
"""A table that stays for long is written again, so that the ledger's retention takes no record that plans name."""


class TableSource(Protocol):
    """Has the tables of models; ``models/many_follower.py`` implements it."""

    def begin_above(self, number: int, /) -> None:
        """Let the slot's table, and all that follow, have higher numbers than this."""
        ...

    def record(self, key: ModelKey, /) -> Mapping[str, Any]:
        """Return what the ledger keeps of a table that the slot had a moment ago."""
        ...

    def recalled(self, record: Mapping[str, Any], /) -> ServedModel:
        """Load a table by the ledger's record of it; the caller releases it."""
        ...

    def release(self, model: ServedModel, /) -> None:
        """Give back what :meth:`recalled` loaded."""
        ...


class NoFallback:
    """The :class:`streaming.engines.exact_ports.Fallback` of a job with many models, which goes back to no table.

    A model that fails is taken out of the next table by itself, and :class:`TableArms` loads the tables of plans.
    """

    def roll_back(self, failed: ModelKey, detail: str) -> None:
        """Return ``None``: no other table can score what this one cannot."""

    def recall(self, key: ModelKey) -> ServedModel:
        """Refuse: the ledger has the rows of a table that the slot does not have.

        Raises:
            ModelNotFoundError: always.
        """
        raise ModelNotFoundError(f"the table of models {key} is not in the slot")

    def earlier(self) -> None:
        """Return ``None``: no table comes before the slot's."""

    def release(self, model: ServedModel) -> None:
        """Give a table back."""
        model.scorer.release()


class TableArms:
    """A :class:`streaming.engines.arms.ArmSource` of a table; only the batch thread uses it."""

    def __init__(self, ledger: Ledger, tables: TableSource, clock: Clock) -> None:
        """Take where tables come from and where their rows are written; the lease must be ours."""
        self._ledger = ledger
        self._tables = tables
        self._clock = clock
        self._written: ModelKey | None = None
        self._write_again = clock()
        self._recalled: ServedModel | None = None
        # Two tables of one number would be one version to whoever asks who scored an offset.
        tables.begin_above(max((p.version.version for p in ledger.recent() if p.arms.is_table), default=0))

    def planned(self, champion: ModelVersion, held: frozenset[ModelKey]) -> PlannedArms:  # noqa: ARG002 - of rows
        """Return the table's arm; its rows are in the ledger when this returns."""
        self.close()
        if champion.key != self._written or self._clock() >= self._write_again:
            self._ledger.record_models(self._tables.record(champion.key))
            self._written, self._write_again = champion.key, self._clock() + _WRITTEN_AGAIN
        return PlannedArms.only(champion, MODELS)

    def loaded(self, key: ModelKey) -> ServedModel:
        """Return a table that a batch was planned with and that is not in the slot.

        Raises:
            ModelNotFoundError: the ledger has not got its rows any more.
        """
        if self._recalled is None or self._recalled.key != key:
            self.close()
            record = self._ledger.models(key.version)
            if record is None:
                raise ModelNotFoundError(
                    f"a batch was planned with the table of models {key}, whose rows the ledger has not got any more;"
                    " output.ledger_retention_ms must be longer than the job may stand still"
                )
            self._recalled = self._tables.recalled(record)
        return self._recalled

    def give_up(self, reason: str) -> None:
        """Do nothing: a model that fails is taken out of the next table by itself."""

    def close(self) -> None:
        """Release the table that was recalled for a batch."""
        recalled, self._recalled = self._recalled, None
        if recalled is not None:
            self._tables.release(recalled)
