"""``penstock dlq``: its verbs, each importing its work only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.command.options import Config, Json, Set, examples
from jobs.terminal.json_output import JsonOutput

app = typer.Typer(help="List and show dead letters, and send the events again.", no_args_is_help=True)

Reasons = Annotated[
    list[str], typer.Option("--reason", metavar="REASON", help="Take only this reason. It may be repeated.")
]
Since = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Take events rejected then or later, ISO 8601.")
]
Until = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Take events rejected before then, ISO 8601.")]
Partitions = Annotated[
    list[int], typer.Option("--partition", min=0, metavar="N", help="Take only this partition. It may be repeated.")
]


@app.command(
    "list",
    epilog=examples(
        "penstock dlq list -c penstock.yaml",
        "penstock dlq list -c penstock.yaml --reason MISSING_FIELD --from 2026-11-20 --json -",
    ),
)
def list_(
    config: Config = None,
    set_: Set = [],
    reason: Reasons = [],
    since: Since = None,
    until: Until = None,
    partition: Partitions = [],
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, help="Show this many of the newest. All of them are counted.")
    ] = 20,
    json: Json = None,
) -> None:
    """Count the dead letters by reason, and show the newest."""
    from jobs.verbs.dlq.options import SelectionOptions
    from jobs.verbs.dlq.run import list_letters

    output = JsonOutput(json)
    list_letters(config, set_, SelectionOptions(reason, since, until, partition).selection(), limit, output)


@app.command(epilog=examples("penstock dlq show -c penstock.yaml --partition 0 --offset 17"))
def show(
    partition: Annotated[
        int, typer.Option(min=0, metavar="N", help="Look in this partition of the dead letters' topic.")
    ],
    offset: Annotated[int, typer.Option(min=0, metavar="N", help="Show the dead letter at this offset.")],
    config: Config = None,
    set_: Set = [],
    raw: Annotated[bool, typer.Option("--raw", help="Write the value's bytes, unchanged, to standard output.")] = False,
    json: Json = None,
) -> None:
    """Show the headers, the key and the value of one dead letter."""
    from jobs.verbs.dlq.run import show_letter
    from streaming.outputs.dead_letters import Place

    show_letter(config, set_, Place(partition, offset), JsonOutput(json), raw=raw)


@app.command(
    epilog=examples(
        "penstock dlq replay -c penstock.yaml --reason SCORING_FAILED",
        "penstock dlq replay -c penstock.yaml --reason SCORING_FAILED --send",
        "penstock dlq replay -c penstock.yaml 0:17 0:18 --to-topic features.retry --send",
    )
)
def replay(
    places: Annotated[
        list[str] | None,
        typer.Argument(metavar="PARTITION:OFFSET", help="Take only these dead letters. The default is all."),
    ] = None,
    config: Config = None,
    set_: Set = [],
    reason: Reasons = [],
    since: Since = None,
    until: Until = None,
    partition: Partitions = [],
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Send at most this many events.")] = None,
    to_topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Send to this topic. The default is each event's own topic.")
    ] = None,
    max_replays: Annotated[
        int, typer.Option(metavar="N", min=1, help="Leave out an event that was sent this often already.")
    ] = 3,
    again: Annotated[bool, typer.Option("--again", help="Include events that were sent before.")] = False,
    send: Annotated[bool, typer.Option("--send", help="Send the events. Without this option nothing is sent.")] = False,
    json: Json = None,
) -> None:
    """Show which events would be sent again, and where to. With --send, send them."""
    from jobs.verbs.dlq.options import ResendOptions, SelectionOptions
    from jobs.verbs.dlq.replay import replay_letters

    output = JsonOutput(json)
    options = ResendOptions(
        selection=SelectionOptions(
            reasons=reason, since=since, until=until, partitions=partition, places=places or []
        ).selection(),
        to=to_topic,
        limit=limit,
        max_replays=max_replays,
        again=again,
        send=send,
    )
    replay_letters(config, set_, options, output)
