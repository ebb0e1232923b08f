"""``penstock ledger``: its verbs, each importing its work only when it runs."""

from __future__ import annotations

import json
from typing import Annotated, Optional

import typer
from rich.console import Console

from jobs.command.options import Config, Set

app = typer.Typer(
    help="Ask which version, run and data made a prediction, and see what was recorded.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for scripts.")]


@app.command()
def at(
    config: Config = None,
    set_: Set = [],  # noqa: B006
    partition: Annotated[Optional[int], typer.Option(min=0, help="Of the input topic.")] = None,  # noqa: UP045
    offset: Annotated[Optional[int], typer.Option(min=0, help="In that partition.")] = None,  # noqa: UP045
    topic: Annotated[Optional[str], typer.Option(help="Another input topic than input.topic.")] = None,  # noqa: UP045
    event_id: Annotated[Optional[str], typer.Option(help="Finds the newest events of this id.")] = None,  # noqa: UP045
    time: Annotated[Optional[str], typer.Option(help="What served then, ISO 8601.")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> None:
    """Say which version scored an event; exit code 1 where none did or nothing is known."""
    from jobs.verbs.ledger.display import show_answer
    from jobs.verbs.ledger.options import Question
    from jobs.verbs.ledger.run import answers

    found = answers(config, set_, Question(topic, partition, offset, event_id, time))
    for answer in found:
        typer.echo(json.dumps(answer)) if as_json else show_answer(Console(), answer)
    if not found:
        summary = f"No prediction or dead letter has the event id {event_id}."
        typer.echo(json.dumps({"found": False, "fate": "unknown", "summary": summary}) if as_json else summary)
    if not any(answer["found"] for answer in found):
        raise typer.Exit(1)


@app.command()
def show(
    config: Config = None,
    set_: Set = [],  # noqa: B006
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many, the latest.")] = 20,
    type_: Annotated[list[str], typer.Option("--type", help="plan, outcome, swap, ...; may be repeated.")] = [],  # noqa: B006
    since: Annotated[Optional[str], typer.Option(help="None from before this time, ISO 8601.")] = None,  # noqa: UP045
    as_json: AsJson = False,
) -> None:
    """Show the latest records, the last one below."""
    from jobs.verbs.ledger.display import show_records
    from jobs.verbs.ledger.options import Filter
    from jobs.verbs.ledger.run import latest

    records = latest(config, set_, Filter(count, type_, since))
    if as_json:
        for record in records:
            typer.echo(json.dumps(record))
    else:
        show_records(Console(), records)
