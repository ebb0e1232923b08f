"""``penstock drift``: its verbs, each importing its work only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from jobs.command.options import Config, Set

app = typer.Typer(help="Watch whether events and answers still look like the model's reference.", no_args_is_help=True)


@app.command()
def run(
    config: Config = None,
    set_: Set = [],  # noqa: B006
    once: Annotated[
        bool, typer.Option("--once", help="Count what there is now, close every window, and end: for recorded streams.")
    ] = False,
) -> None:
    """Publish drift statistics for each window of the predictions, until stopped."""
    from jobs.verbs.drift.run import run as work

    work(config, set_, once=once)


@app.command()
def baseline(
    source: Annotated[str, typer.Option("--in", metavar="PATH", help="Rows to learn from: Parquet, CSV, JSON lines.")],
    config: Config = None,
    set_: Set = [],  # noqa: B006
    model_version: Annotated[Optional[int], typer.Option(min=1, metavar="N", help="Of this version.")] = None,  # noqa: UP045
    alias: Annotated[Optional[str], typer.Option(help="Is put on the new version.")] = None,  # noqa: UP045
    format_: Annotated[Optional[str], typer.Option("--format", help="Of the rows, if no suffix says it.")] = None,  # noqa: UP045
    encoding: Annotated[str, typer.Option(metavar="NAME", help="Encoding of CSV files, if it is not UTF-8.")] = "utf-8",
) -> None:
    """Register a version again with a reference profile, for a model that was trained elsewhere."""
    from jobs.verbs.drift.baseline import baseline as work
    from jobs.verbs.drift.options import Order

    made = work(config, set_, Order(source, model_version, alias, format_, encoding))
    typer.echo(f"Registered {made} with a reference profile{f', alias {alias}' if alias else ''}.")


@app.command()
def report(
    config: Config = None,
    set_: Set = [],  # noqa: B006
    topic: Annotated[Optional[str], typer.Option(metavar="TOPIC", help="output.drift by default.")] = None,  # noqa: UP045
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Windows that begin then or later.")
    ] = None,
    until: Annotated[Optional[str], typer.Option("--to", metavar="TIME", help="Windows that end by then.")] = None,  # noqa: UP045
    version: Annotated[int | None, typer.Option(min=1, metavar="N", help="Of this version; of all by default.")] = None,
    window: Annotated[str, typer.Option(metavar="N|last", help="As it was after each version's Nth window.")] = "last",
    html: Annotated[Optional[Path], typer.Option(metavar="PATH", help="Write a page, for people.")] = None,  # noqa: UP045
    json_: Annotated[Optional[Path], typer.Option("--json", metavar="PATH", help="Write JSON, for scripts.")] = None,  # noqa: UP045
) -> None:
    """Say whether there is drift now, in which columns, since when and how large; exit code 1 if nothing is known."""
    from rich.console import Console

    from jobs.configuration.paths import require_writable_file
    from jobs.verbs.drift.display import show_report
    from jobs.verbs.drift.report import report as work
    from streaming.drift.report.choice import Choice
    from streaming.drift.report.output import write_json, write_page

    for path, option in ((html, "--html"), (json_, "--json")):
        if path is not None:
            require_writable_file(path, option)
    made = work(config, set_, topic, Choice(since, until, version, window))
    show_report(Console(), made)
    for path, write in ((html, write_page), (json_, write_json)):
        if path is not None:
            write(made, path)
            typer.echo(f"Wrote {path}.")
    if not made.versions:
        raise typer.Exit(1)
