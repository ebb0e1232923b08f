"""The table of models that one job scores with: planned, swapped and remembered as one version is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from streaming.models.ref import ModelVersion
from streaming.models.routing import RoutingRule
from streaming.models.signature import Signature


@dataclass(frozen=True)
class ProgramLimits:
    """What bounds a worker: the bytes of programs that it keeps, and the processor's seconds for one model in a batch.

    Seconds are those of one task.
    """

    resident_bytes: int = 512 * 1024**2
    model_seconds: float = 60.0


@dataclass(frozen=True)
class TableRow:
    """One model's version.

    ``program`` is the file that workers read it from. It is empty for a model that takes part and has no version that
    can be loaded: its events become dead letters.
    """

    version: ModelVersion
    digest: str = ""
    program: str = ""
    signature: Signature = field(default_factory=lambda: Signature(()))

    @property
    def is_loaded(self) -> bool:
        """True if workers can score by it."""
        return bool(self.program)


@dataclass(frozen=True)
class ModelTable:
    """A rule and the version that each model has; rows are in the order of their models' names.

    ``number`` is the time in milliseconds since 1970 at which the table came about, and grows from table to table.
    """

    rule: RoutingRule
    number: int
    rows: tuple[TableRow, ...]

    @classmethod
    def of(cls, rule: RoutingRule, number: int, rows: Iterable[TableRow]) -> ModelTable:
        """Return the table of rows in any order."""
        return cls(rule, number, tuple(sorted(rows, key=lambda row: row.version.name)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the names, numbers and digests, as hex: tables that answer alike have the same."""
        lines = [f"{row.version.name}\0{row.version.version}\0{row.digest}\n" for row in self.rows]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @cached_property
    def version(self) -> ModelVersion:
        """The version that plans name for the whole table: the rule, the table's number, and its digest as the run."""
        return ModelVersion(str(self.rule), self.number, self.digest[:12], created_ms=self.number)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Each model's number in the table, from 1; 0 is for events that are for no model."""
        return {row.version.name: number for number, row in enumerate(self.rows, 1)}

    def row(self, number: int) -> TableRow:
        """Return the row of a model's number."""
        return self.rows[number - 1]

    def record(self) -> dict[str, Any]:
        """Return what the ledger keeps of the table."""
        rows = [[r.version.name, r.version.version, r.version.run_id, r.digest] for r in self.rows]
        return {"models": str(self.rule), "table": self.number, "digest": self.digest[:12], "rows": rows}
