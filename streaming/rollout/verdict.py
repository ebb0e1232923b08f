"""What the judge of a rollout found, as a record of the ledger. The judge writes these, and no lease is needed.

The record is one of ``schemas/contracts/rollout_record.json``. Where it is the latest one of the present step, the
job and whoever asks for the status go by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streaming.rollout.checks import RolloutCheck
from streaming.rollout.evidence import Gathered
from streaming.rollout.judge import HarmFinding
from streaming.rollout.records import Fields, RecordKind, head


@dataclass(frozen=True)
class CheckFinding:
    """What one check found.

    Attributes:
        finding: harm, no worse, or not told.
        count: of what it looked at: keys that erred, labelled events, days, hours, batches, or windows.
        numbers: what it decided by, such as ``low`` and ``margin``; ``None`` where one is not defined yet.
        sentence: the same for people.
        dry_run: whether it is only shown.
        holds: whether the rollout goes on only if somebody resumes it meanwhile.
    """

    finding: HarmFinding
    count: int
    numbers: Mapping[str, float | None]
    sentence: str
    dry_run: bool = False
    holds: bool = False

    @property
    def reason(self) -> str:
        """The sentence without the finding that it begins with."""
        return self.sentence.partition(": ")[2]

    def to_dict(self) -> dict[str, Any]:
        """Return it as the record has it."""
        return {
            "finding": self.finding.value,
            "count": self.count,
            "numbers": dict(self.numbers),
            "sentence": self.sentence,
            "dry_run": self.dry_run,
            "holds": self.holds,
        }

    @classmethod
    def from_dict(cls, fields: Fields) -> CheckFinding:
        """Read it back."""
        return cls(
            finding=HarmFinding(fields["finding"]),
            count=fields["count"],
            numbers=fields["numbers"],
            sentence=fields["sentence"],
            dry_run=fields["dry_run"],
            # A verdict of an earlier release has no check that holds.
            holds=fields.get("holds", False),
        )


@dataclass(frozen=True)
class JudgedRange:
    """Offsets that the candidate had answered when it was judged, of those of its arm."""

    topic: str
    partition: int
    start: int
    end: int
    weight_epoch: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as records and reports have it."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "start": self.start,
            "end": self.end,
            "weight_epoch": self.weight_epoch,
        }

    @classmethod
    def from_dict(cls, fields: Fields) -> JudgedRange:
        """Read it back; fields of a newer version are passed over."""
        return cls(
            topic=fields["topic"],
            partition=fields["partition"],
            start=fields["start"],
            end=fields["end"],
            weight_epoch=fields["weight_epoch"],
        )


@dataclass(frozen=True)
class RolloutVerdict:
    """One look of the judge.

    Attributes:
        rollout: its name.
        application: whose rollout it is.
        weight_epoch: of the step that was judged; of any other step the verdict says nothing.
        finding: what all checks together say.
        why: the same for people, with the numbers that decided.
        checks: what each check found, by its name.
        evidence: what was counted since the step began.
        answered: the candidate's offsets, where it was found harmful.
        at: when the judge looked, RFC 3339 in UTC.
    """

    rollout: str
    application: str
    weight_epoch: int
    finding: HarmFinding
    why: str
    checks: Mapping[str, CheckFinding]
    evidence: Mapping[str, Gathered]
    answered: tuple[JudgedRange, ...] = field(default=())
    at: str = ""

    @property
    def holds(self) -> str:
        """Why the rollout goes on only if somebody resumes it, whatever the finding; empty if no check holds it."""
        holding = {name: check for name, check in self.checks.items() if check.holds and not check.dry_run}
        return "; ".join(f"{name}: {check.reason}" for name, check in holding.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the record."""
        evidence = {
            name: {"count": gathered.count, "per_hour": gathered.per_hour} for name, gathered in self.evidence.items()
        }
        return {
            **head(RecordKind.VERDICT, self.application, self.rollout),
            "weight_epoch": self.weight_epoch,
            "finding": self.finding.value,
            "why": self.why,
            "checks": {name: check.to_dict() for name, check in self.checks.items()},
            "evidence": evidence,
            "answered": [part.to_dict() for part in self.answered],
            "at": self.at,
        }

    @classmethod
    def from_dict(cls, record: Fields) -> RolloutVerdict:
        """Read a record back."""
        return cls(
            rollout=record["rollout"],
            application=record["application"],
            weight_epoch=record["weight_epoch"],
            finding=HarmFinding(record["finding"]),
            why=record["why"],
            checks={name: CheckFinding.from_dict(fields) for name, fields in record["checks"].items()},
            evidence={
                name: Gathered(fields["count"], fields["per_hour"]) for name, fields in record["evidence"].items()
            },
            answered=tuple(map(JudgedRange.from_dict, record["answered"])),
            at=record["at"],
        )


def taken_together(checks: Mapping[RolloutCheck, CheckFinding]) -> tuple[HarmFinding, str]:
    """Return what all checks say together, and why.

    Harm by one check is harm. Only the days can show that a candidate is no worse: scores that are as expected may be
    wrong all the same. A check on dry run says nothing.
    """
    acting = {check: finding for check, finding in checks.items() if not finding.dry_run}
    harmful = [check for check, finding in acting.items() if finding.finding is HarmFinding.HARM]
    if harmful:
        return HarmFinding.HARM, _reasons(acting, harmful)
    days = acting.get(RolloutCheck.DAYS)
    if days is not None and days.finding is HarmFinding.NO_WORSE:
        return HarmFinding.NO_WORSE, _reasons(acting, [RolloutCheck.DAYS])
    holding = [check for check, finding in acting.items() if finding.holds]
    return HarmFinding.NOT_TOLD, _reasons(acting, holding) or "no check has told the versions apart yet"


def _reasons(findings: Mapping[RolloutCheck, CheckFinding], checks: Sequence[RolloutCheck]) -> str:
    return "; ".join(f"{check.value}: {findings[check].reason}" for check in checks)
