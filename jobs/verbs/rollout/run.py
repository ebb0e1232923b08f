"""``penstock rollout size``: the same question for the two ways to compare versions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from jobs.verbs.rollout.options import RolloutSizeOptions
from streaming.errors import ConfigurationError
from streaming.rollout.size import Sizes, days_needed, sizes


@dataclass(frozen=True)
class SizedComparison:
    """One way to compare; ``days`` is ``None`` where it was not asked for."""

    events: Literal["same", "own"]
    """``same`` where both versions score each event, ``own`` where each has events of its own."""
    sizes: Sizes
    days: int | None

    def report(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"events": self.events, **asdict(self.sizes), "days": self.days}


def sizes_of(options: RolloutSizeOptions) -> tuple[SizedComparison, SizedComparison]:
    """Return both ways.

    Raises:
        ConfigurationError: the numbers contradict each other, or no number of events or days is large enough.
    """
    question = options.question
    if options.day_deviation and options.events_per_day is None:
        raise ConfigurationError("--day-deviation is about days; say how many labels one has with --events-per-day")
    try:
        return (
            _comparison(options, "same", question.paired_variance),
            _comparison(options, "own", question.unpaired_variance),
        )
    except OverflowError as problem:
        raise ConfigurationError(
            f"a difference of {question.worse_by:g} is not found by any number of events or days ({problem}); ask for a"
            " larger one, or for days that differ less"
        ) from None


def _comparison(options: RolloutSizeOptions, events: Literal["same", "own"], variance: float) -> SizedComparison:
    question, a_day = options.question, options.events_per_day
    days = None if a_day is None else days_needed(variance, question, a_day, options.day_deviation)
    return SizedComparison(events, sizes(variance, question), days)
