"""A rollout's report as people read it, the same on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator

from streaming.rollout.judge import HarmFinding
from streaming.rollout_report.differences import POWER, ArmsComparison
from streaming.rollout_report.report import RolloutReport, StepTaken
from streaming.words import number, plural, share, signed

UNPAIRED_NEEDS_MORE = 8
"""Events of their own need at least so many times as many labels as the same events."""


def way(comparison: ArmsComparison) -> str:
    """Return how the versions are compared."""
    return "on the same events" if comparison.paired else "on events of their own"


def finding_of(comparison: ArmsComparison) -> HarmFinding:
    """Return what all days say."""
    return comparison.days[-1].finding if comparison.days else HarmFinding.NOT_TOLD


def decisive(report: RolloutReport) -> ArmsComparison:
    """Return the comparison that says more: the paired one, if it has days."""
    return report.paired if report.paired is not None and report.paired.days else report.unpaired


def difference_text(comparison: ArmsComparison) -> str:
    """Return the mean day's difference with its bounds."""
    if not comparison.days:
        return "no day has labels of both versions"
    last = comparison.days[-1]
    bounds = "" if last.low is None or last.high is None else f", between {signed(last.low)} and {signed(last.high)}"
    return f"{signed(last.mean)}{bounds}"


def time_text(comparison: ArmsComparison, margin: float | None) -> str:
    """Return how many more days harm as large as the margin takes."""
    if comparison.missing is None or margin is None:
        return "how many days are needed cannot be told yet"
    harm = f"harm of {number(margin)} is found with a chance of {POWER:g}"
    if not comparison.missing:
        return f"{harm} in {plural(comparison.needed or 0, 'day')}, which are there"
    return f"{harm} in {plural(comparison.needed or 0, 'day')}: {comparison.missing:,} more"


def step_text(step: StepTaken) -> str:
    """Return where the rollout came to.

    >>> step_text(StepTaken("", "step", 2, 0.25, 2, "", False, None))
    'step 2, 25.0% of the keys'
    """
    paused = ", paused" if step.paused else ""
    return f"step {step.step}, {share(step.share)} of the keys{paused}" if step.phase == "step" else step.phase + paused


def cautions(report: RolloutReport) -> Iterator[str]:
    """Yield what to mind."""
    if report.early:
        yield (
            f"{plural(report.early, 'labelled event')} of days whose labels are still due decide nothing: labels that"
            " come early differ from the rest."
        )
    if report.paired is None:
        yield (
            f"Nothing scored the same events with both versions. Events of their own need at least"
            f" {UNPAIRED_NEEDS_MORE} times as many labels."
        )
