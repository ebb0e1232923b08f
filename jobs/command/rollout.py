"""``penstock rollout``: its verbs, each importing its work only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.command.options import Json, examples
from jobs.terminal.json_output import JsonOutput

app = typer.Typer(help="Plan the comparison of a candidate with the version that serves.", no_args_is_help=True)

_SHARE = {"min": 0.0, "max": 1.0, "metavar": "SHARE"}


@app.command(
    epilog=examples(
        "penstock rollout size --error-rate 0.22 --worse-by 0.01 --disagree 0.05",
        "penstock rollout size --error-rate 0.2 --worse-by 0.01 --disagree 0.05 --events-per-day 900 --json -",
    )
)
def size(
    error_rate: Annotated[
        float, typer.Option(**_SHARE, help="Take this as the champion's share of wrong predictions.")
    ],
    worse_by: Annotated[
        float, typer.Option(**_SHARE, help="Find a candidate whose share of wrong predictions is above that by this.")
    ],
    disagree: Annotated[
        float,
        typer.Option(**_SHARE, help="Take this as the share of events on which one of the versions is wrong alone."),
    ],
    share: Annotated[
        float, typer.Option(**_SHARE, help="Give the candidate this share of the events, where each has its own.")
    ] = 0.05,
    alpha: Annotated[
        float, typer.Option(min=0.0, max=0.5, metavar="SHARE", help="Call an equal candidate worse at most so often.")
    ] = 0.01,
    power: Annotated[float, typer.Option(**_SHARE, help="Find a worse candidate at least so often.")] = 0.8,
    events_per_day: Annotated[
        float | None, typer.Option(min=0.0, metavar="N", help="Say how many days that are, with so many labels a day.")
    ] = None,
    day_deviation: Annotated[
        float,
        typer.Option(
            min=0.0, metavar="SHARE", help="Take this as the standard deviation of the difference between days."
        ),
    ] = 0.0,
    json: Json = None,
) -> None:
    """Show how many labelled events a comparison needs, on the same events for both versions and on own ones."""
    from jobs.verbs.rollout.display import show_sizes
    from jobs.verbs.rollout.options import RolloutSizeOptions
    from jobs.verbs.rollout.run import sizes_of
    from streaming.rollout.size import Question

    output = JsonOutput(json)
    question = Question(
        error_rate=error_rate, worse_by=worse_by, disagree=disagree, share=share, alpha=alpha, power=power
    )
    options = RolloutSizeOptions(question, events_per_day, day_deviation)
    comparisons = sizes_of(options)
    output.write(*(comparison.report() for comparison in comparisons))
    if not output.replaces_text:
        show_sizes(comparisons, options)
