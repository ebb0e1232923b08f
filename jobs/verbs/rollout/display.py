"""How ``penstock rollout`` shows its answers to people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from jobs.verbs.rollout.options import RolloutSizeOptions
from jobs.verbs.rollout.run import Comparison


def show_sizes(comparisons: Sequence[Comparison], options: RolloutSizeOptions) -> None:
    """Print the question as a sentence, a line for each way to compare, and what to mind."""
    question, console = options.question, Console()
    names = {
        "same": "both versions score the same events",
        "own": f"the candidate has {question.share:g} of the events",
    }
    console.print(
        Text(
            f"To find an error rate of {question.error_rate + question.worse_by:g} in place of"
            f" {question.error_rate:g} with a chance of {question.power:g}, and to call an equal candidate worse with a"
            f" chance of {question.alpha:g}:"
        ),
        soft_wrap=True,
    )
    days = [Column("days", justify="right")] if options.events_per_day is not None else []
    counts = (Column(title, justify="right") for title in ("one look", "a look at any time"))
    table = Table("labelled events", *counts, *days, box=None)
    for comparison in comparisons:
        cells = [f"{comparison.sizes.once:,}", f"{comparison.sizes.always:,}"]
        cells += [f"{comparison.days:,}"] if comparison.days is not None else []
        table.add_row(names[comparison.events], *cells)
    console.print(table)
    console.print(Text(_caution(options)), soft_wrap=True)


def _caution(options: RolloutSizeOptions) -> str:
    if options.events_per_day is None:
        return (
            "This takes events as independent. Those of a day are alike: --events-per-day and --day-deviation say more."
        )
    if options.day_deviation == 0:
        return "This takes days as alike. Give --day-deviation as a backtest measured it, or the days are too few."
    return "The days are those of the judge, which looks at each day's mean."
