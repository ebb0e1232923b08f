"""What the judge said of each step, as it stands in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streaming.rollout.checks import ALPHA, RolloutCheck
from streaming.rollout.verdict import CheckFinding, RolloutVerdict

_ALPHAS = {check.value: alpha for check, alpha in ALPHA.items()}
_NAMES = {check.value for check in RolloutCheck}


@dataclass(frozen=True)
class JudgedCheck:
    """One check: its finding, how many things it looked at, what it decided by, and the same for people.

    ``alpha`` is the chance that it ever calls an equal candidate harmful; ``None`` where it does not roll back.
    """

    check: str
    finding: str
    count: int
    numbers: Mapping[str, float | None]
    sentence: str
    alpha: float | None
    dry_run: bool


@dataclass(frozen=True)
class StepJudged:
    """The judge's last look at the step of a weight epoch; ``at`` is when that was, by the judge's clock."""

    weight_epoch: int
    at: str
    finding: str
    why: str
    checks: tuple[JudgedCheck, ...]


def steps_judged(verdicts: Iterable[RolloutVerdict]) -> tuple[StepJudged, ...]:
    """Return what is shown of the verdicts, the first step first."""
    return tuple(_judged(verdict) for verdict in sorted(verdicts, key=lambda verdict: verdict.weight_epoch))


def _judged(verdict: RolloutVerdict) -> StepJudged:
    checks = tuple(_check(name, check) for name, check in verdict.checks.items())
    return StepJudged(verdict.weight_epoch, verdict.at, verdict.finding.value, verdict.why, checks)


def _check(name: str, check: CheckFinding) -> JudgedCheck:
    return JudgedCheck(
        check=name,
        finding=check.finding.value,
        count=check.count,
        numbers=check.numbers,
        sentence=check.sentence,
        alpha=_ALPHAS.get(name),
        dry_run=check.dry_run,
    )


def power_text(name: str, *, dry_run: bool) -> str:
    """Return what a check may do: its chance of a false alarm, if it can roll back.

    A newer version may have written a check that this one lacks.

    >>> power_text("drift", dry_run=True)
    'holds only, dry run'
    """
    if name in _ALPHAS:
        power = f"alpha {_ALPHAS[name]:g}"
    else:
        power = "holds only" if name in _NAMES else "unknown to this version"
    return power + (", dry run" if dry_run else "")
