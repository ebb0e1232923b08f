"""``penstock ledger``: its verbs, each importing its work only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from jobs.command.options import Config, Json, Set, examples
from jobs.terminal.json_output import JsonOutput

app = typer.Typer(
    help="Show which version, run and data made a prediction, and what was recorded.", no_args_is_help=True
)


@app.command(
    epilog=examples(
        "penstock ledger at -c penstock.yaml --event-id 2013-04-01-N123AA-0600",
        "penstock ledger at -c penstock.yaml --partition 0 --offset 1234",
        "penstock ledger at -c penstock.yaml --time 2026-11-20T08:00:00Z --json -",
    )
)
def at(
    config: Config = None,
    set_: Set = [],
    partition: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Look in this partition of the input topic.")
    ] = None,
    offset: Annotated[int | None, typer.Option(min=0, metavar="N", help="Look up the record at this offset.")] = None,
    topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Look in this input topic. The default is input.topic.")
    ] = None,
    event_id: Annotated[str | None, typer.Option(metavar="ID", help="Look up the newest events with this id.")] = None,
    time: Annotated[
        str | None, typer.Option(metavar="TIME", help="Look up the version that served then, ISO 8601.")
    ] = None,
    json: Json = None,
) -> None:
    """Show which version scored an event. The exit code is 1 if the ledger does not know it."""
    from jobs.verbs.ledger.display import show_answer
    from jobs.verbs.ledger.options import LedgerAtOptions
    from jobs.verbs.ledger.run import answers

    output = JsonOutput(json)
    options = LedgerAtOptions(topic=topic, partition=partition, offset=offset, event_id=event_id, time=time)
    results = answers(config, set_, options)
    summary = f"No prediction or dead letter has the event id {event_id}."
    output.write(*(results or [{"found": False, "fate": "unknown", "summary": summary}]))
    if not output.replaces_text:
        for answer in results:
            show_answer(Console(), answer)
        if not results:
            typer.echo(summary)
    if not any(answer["found"] for answer in results):
        raise typer.Exit(1)


@app.command(
    epilog=examples(
        "penstock ledger show -c penstock.yaml",
        "penstock ledger show -c penstock.yaml --type swap --type hold --from 2026-11-20",
    )
)
def show(
    config: Config = None,
    set_: Set = [],
    count: Annotated[
        int, typer.Option("--count", "-n", min=1, metavar="N", help="Show this many of the latest records.")
    ] = 20,
    type_: Annotated[
        list[str],
        typer.Option("--type", metavar="TYPE", help="Show only plan, outcome, swap and so on. It may be repeated."),
    ] = [],
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Show records from then or later, ISO 8601.")
    ] = None,
    json: Json = None,
) -> None:
    """Show the latest records, the newest at the end."""
    from jobs.verbs.ledger.display import show_records
    from jobs.verbs.ledger.options import LedgerShowOptions
    from jobs.verbs.ledger.run import latest

    output = JsonOutput(json)
    records = latest(config, set_, LedgerShowOptions(count, type_, since))
    output.write(*records)
    if not output.replaces_text:
        show_records(Console(), records)
