"""``penstock dlq``: look at dead letters, and send the events again."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from jobs.command.options import Config, Set

app = typer.Typer(help="Look at dead letters, and send the events again.", no_args_is_help=True)

Reasons = Annotated[list[str], typer.Option("--reason", help="Only this reason; may be repeated.", metavar="REASON")]
Since = Annotated[Optional[str], typer.Option(metavar="TIME", help="Rejected then or later, ISO 8601.")]  # noqa: UP045
Until = Annotated[Optional[str], typer.Option(metavar="TIME", help="Rejected before then, ISO 8601.")]  # noqa: UP045
Partitions = Annotated[
    list[int], typer.Option("--partition", metavar="N", help="Only this partition; may be repeated.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command("list")
def list_(
    config: Config = None,
    set_: Set = [],  # noqa: B006
    reason: Reasons = [],  # noqa: B006
    since: Since = None,
    until: Until = None,
    partition: Partitions = [],  # noqa: B006
    limit: Annotated[
        int, typer.Option(metavar="N", min=0, help="Show so many of the newest; the counts are of all.")
    ] = 20,
    json: Json = False,
) -> None:
    """Count the dead letters by reason, and show the newest."""
    from jobs.verbs.dlq.options import Filters
    from jobs.verbs.dlq.run import list_letters

    list_letters(config, set_, Filters(reason, since, until, partition).selection(), limit, as_json=json)


@app.command()
def show(
    partition: Annotated[int, typer.Option(help="Its partition on the dead letters' topic.", min=0)],
    offset: Annotated[int, typer.Option(help="Its offset there.", min=0)],
    config: Config = None,
    set_: Set = [],  # noqa: B006
    raw: Annotated[bool, typer.Option("--raw", help="Write the value's bytes to standard output, untouched.")] = False,
    json: Json = False,
) -> None:
    """Show one dead letter: its headers, key and value."""
    from jobs.verbs.dlq.options import Form
    from jobs.verbs.dlq.run import show_letter
    from streaming.outputs.dead_letters import Place

    form = Form.RAW if raw else Form.JSON if json else Form.PEOPLE
    show_letter(config, set_, Place(partition, offset), form)


@app.command()
def replay(
    places: Annotated[Optional[list[str]], typer.Argument(metavar="PLACE", help="PARTITION:OFFSET of one.")] = None,  # noqa: UP045
    config: Config = None,
    set_: Set = [],  # noqa: B006
    reason: Reasons = [],  # noqa: B006
    since: Since = None,
    until: Until = None,
    partition: Partitions = [],  # noqa: B006
    limit: Annotated[Optional[int], typer.Option(metavar="N", help="Send at most this many.", min=1)] = None,  # noqa: UP045
    to: Annotated[Optional[str], typer.Option(help="Another topic than each event's own.", metavar="TOPIC")] = None,  # noqa: UP045
    max_replays: Annotated[int, typer.Option(metavar="N", min=1, help="Leave an event that was sent this often.")] = 3,
    again: Annotated[bool, typer.Option("--again", help="Also send what was sent before.")] = False,
    send: Annotated[bool, typer.Option("--send", help="Send; without it nothing is sent.")] = False,
    json: Json = False,
) -> None:
    """Say which events would be sent again, and where to; with --send, send them."""
    from jobs.verbs.dlq.options import Filters, Order
    from jobs.verbs.dlq.replay import replay_letters

    selection = Filters(reason, since, until, partition, places or []).selection()
    order = Order(selection, to, limit, max_replays, again, send)
    replay_letters(config, set_, order, as_json=json)
