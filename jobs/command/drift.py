"""``penstock drift``: its verbs, each importing its work only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.command.options import Config, Encoding, Html, InputFormat, Json, Set, examples
from jobs.terminal.json_output import JsonOutput

app = typer.Typer(
    help="Compare events and predictions with the model's reference, window by window.", no_args_is_help=True
)


@app.command(epilog=examples("penstock drift run -c penstock.yaml", "penstock drift run -c penstock.yaml --once"))
def run(
    config: Config = None,
    set_: Set = [],
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Count what there is now, close every window and end. This is for recorded streams."
        ),
    ] = False,
) -> None:
    """Publish drift statistics for each window of the predictions, until stopped."""
    from jobs.verbs.drift.run import run as work

    work(config, set_, once=once)


@app.command(
    epilog=examples(
        "penstock drift baseline -c penstock.yaml --in train.parquet --model-version 3",
        "penstock drift baseline -c penstock.yaml --in train.csv --alias champion",
    )
)
def baseline(
    source: Annotated[
        str, typer.Option("--in", metavar="PATH", help="Learn the reference from these Parquet, CSV or JSON rows.")
    ],
    config: Config = None,
    set_: Set = [],
    model_version: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Add the profile to this version. The default is the one that the settings select."
        ),
    ] = None,
    alias: Annotated[str | None, typer.Option(metavar="ALIAS", help="Point this alias at the new version.")] = None,
    format_: InputFormat = None,
    encoding: Encoding = "utf-8",
) -> None:
    """Register a version again with a reference profile, for a model that was trained elsewhere."""
    from jobs.verbs.drift.baseline import baseline as work
    from jobs.verbs.drift.options import BaselineOptions

    options = BaselineOptions(source=source, version=model_version, alias=alias, format=format_, encoding=encoding)
    registered = work(config, set_, options)
    typer.echo(f"Registered {registered} with a reference profile{f', alias {alias}' if alias else ''}.")


@app.command(
    epilog=examples(
        "penstock drift report -c penstock.yaml",
        "penstock drift report -c penstock.yaml --from 2026-11-20 --html drift.html",
        "penstock drift report -c penstock.yaml --model-version 3 --json -",
    )
)
def report(
    config: Config = None,
    set_: Set = [],
    topic: Annotated[
        str | None, typer.Option(metavar="TOPIC", help="Read this topic. The default is output.drift.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Take windows that begin then or later, ISO 8601.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Take windows that end by then, ISO 8601.")
    ] = None,
    model_version: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Report on this version. The default is all versions.")
    ] = None,
    window: Annotated[
        str, typer.Option(metavar="N|last", help="Report the state after the Nth window of each version.")
    ] = "last",
    html: Html = None,
    json: Json = None,
) -> None:
    """Report whether there is drift, in which columns, since when and how much. The exit code is 1 without data."""
    from rich.console import Console

    from jobs.configuration.paths import require_writable_file
    from jobs.verbs.drift.display import show_report
    from jobs.verbs.drift.report import report as work
    from streaming.drift.report.options import DriftReportOptions
    from streaming.drift.report.output import as_json, write_page

    if html is not None:
        require_writable_file(html, "--html")
    # Checked before the topic is read, which may take minutes.
    output = JsonOutput(json)
    made = work(config, set_, topic, DriftReportOptions(since, until, model_version, window))
    if not output.replaces_text:
        show_report(Console(), made)
    output.write(as_json(made))
    if html is not None:
        write_page(made, html)
        typer.echo(f"Wrote {html}.", err=output.replaces_text)
    if not made.versions:
        raise typer.Exit(1)
