"""What the ledger says of one moment: which version served, and the plans before and after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from streaming.clock import instant
from streaming.ledger.lineage import Record
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelKey

_CHANGES = ("swap", "rollback")


@dataclass
class Moment:
    """Takes one application's records, oldest first.

    ``serving`` is the swap or rollback that put the version in place which served at the moment ``at``. ``before`` is
    the last plan up to then and ``recorded_at`` when its outcome was recorded (RFC 3339, empty if it never was);
    ``after`` is the next plan. ``epoch`` is the lease that was held, ``since`` the time of the oldest record.
    """

    at: datetime
    since: str = ""
    epoch: int = 0
    serving: Record | None = None
    before: Plan | None = None
    recorded_at: str = ""
    after: Plan | None = None

    def add(self, record: Record) -> None:
        """Take the next record."""
        self.since = self.since or str(record["at"])
        if self.before is not None and record["type"] == "outcome" and record["plan"] == self.before.id:
            self.recorded_at = self.recorded_at or record["at"]
        elif instant(record["at"]) <= self.at:
            self._add_earlier(record)
        elif record["type"] == "plan" and self.after is None:
            self.after = Plan.from_dict(record)

    def _add_earlier(self, record: Record) -> None:
        if record["type"] == "plan":
            self.before, self.recorded_at = Plan.from_dict(record), ""
        elif record["type"] == "lease":
            self.epoch = int(record["epoch"])
        elif record["type"] in _CHANGES:
            self.serving = record

    @property
    def version(self) -> ModelKey | None:
        """The version that served, ``None`` if the ledger does not go back that far."""
        # In a job with many models each is swapped by itself, but what served is the table of all.
        if self.before is not None and self.before.arms.is_table:
            return self.before.version.key
        if self.serving is not None:
            return ModelKey(self.serving["model"], int(self.serving["to_version"]))
        return self.before.version.key if self.before else None
