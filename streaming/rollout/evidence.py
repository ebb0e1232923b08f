"""What is known of a rollout at a moment, and what it still lacks, in sentences. What is unknown is never a number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from streaming.rollout.judge import HarmFinding
from streaming.rollout.plan import RolloutStep
from streaming.rollout.states import RolloutTime

SILENT_AFTER = timedelta(minutes=5)
"""A judge writes at least every minute, so one that has not looked for so long is down or cut off."""
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Gathered:
    """How much of something was counted since the step began, and how much comes an hour; ``None``: not known."""

    count: int
    per_hour: float | None = None

    @classmethod
    def over(cls, length: timedelta, count: int) -> Gathered:
        """Return what was counted in a length of time; one that has only begun gives no rate."""
        hours = length.total_seconds() / 3_600
        return cls(count, count / hours if hours > 0 else None)


@dataclass(frozen=True)
class Judged:
    """What the judge found, when it looked, and why it finds so, empty if it does not say.

    ``holds`` is why the rollout goes on only if somebody resumes it, whatever was found; empty if it goes on by itself.
    """

    finding: HarmFinding
    at: datetime
    why: str = ""
    holds: str = ""


@dataclass(frozen=True)
class Observed:
    """What is known now. Evidence that is missing was not reported, and ``judged`` is ``None`` if the judge is silent.

    ``unhealthy`` are sentences of health checks, which hold a rollout and never roll it back.
    """

    now: RolloutTime
    evidence: Mapping[str, Gathered] = field(default_factory=dict)
    judged: Judged | None = None
    unhealthy: tuple[str, ...] = ()


def lacking(step: RolloutStep, since: RolloutTime, observed: Observed) -> Iterator[str]:
    """Yield what keeps a step from being decided, a phrase for each reason.

    >>> step, noon = RolloutStep(0.05, {"labelled events": 200}), datetime(2026, 1, 1, 12)
    >>> observed = Observed(RolloutTime(noon, noon), {"labelled events": Gathered(38, 81.0)})
    >>> list(lacking(step, RolloutTime(noon, noon), observed))
    ['38 of 200 labelled events, about 2 h at this rate', 'the judge has not looked since the step began']
    """
    yield from observed.unhealthy
    for kind, needed in step.evidence.items():
        gathered = observed.evidence.get(kind)
        if gathered is None:
            yield f"nobody reports {kind}, of which {needed} are needed"
        elif gathered.count < needed:
            yield f"{gathered.count} of {needed} {kind}{_time_left(needed - gathered.count, gathered.per_hour)}"
    passed = observed.now.passed_since(since)
    if passed < step.least:
        yield f"{duration(step.least - passed)} of {duration(step.least)} are left, by the clock or in event time"
    if observed.judged is None or observed.judged.at < since.clock:
        yield "the judge has not looked since the step began"
    elif (silent := observed.now.clock - observed.judged.at) > SILENT_AFTER:
        yield f"the judge last looked {duration(silent)} ago"


def duration(length: timedelta) -> str:
    """Return a length of time in its largest unit, rounded.

    >>> duration(timedelta(minutes=100)), duration(timedelta(seconds=0.2)), duration(timedelta(days=9))
    ('2 h', '0 s', '9 d')
    """
    seconds = length.total_seconds()
    size, unit = next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])
    return f"{seconds / size:.0f} {unit}"


def _time_left(missing: int, per_hour: float | None) -> str:
    if per_hour is None:
        return ""
    if per_hour <= 0:
        return ", and none are coming"
    return f", about {duration(timedelta(hours=min(missing / per_hour, 1e6)))} at this rate"
