"""``penstock quality``: its verbs, each importing its work only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.command.options import Config, Html, Json, Set, examples
from jobs.terminal.json_output import JsonOutput

app = typer.Typer(help="Measure predictions by the labels that come later, window by window.", no_args_is_help=True)


@app.command(
    epilog=examples(
        "penstock quality run -c penstock.yaml --from 2013-06-01 --to 2013-07-01",
        "penstock quality run -c penstock.yaml --html quality.html --json -",
        "penstock quality run -c penstock.yaml --follow",
    )
)
def run(
    config: Config = None,
    set_: Set = [],
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Take windows that begin then or later, ISO 8601.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Take windows that end by then, ISO 8601.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Publish each window once its labels are all due, until stopped.")
    ] = False,
    html: Html = None,
    json: Json = None,
) -> None:
    """Measure predictions by their labels, and publish the windows whose labels are all due, each once.

    The exit code is 1 if there is no window.
    """
    from jobs.verbs.quality.options import QualityOptions
    from jobs.verbs.quality.run import follow as follow_windows
    from jobs.verbs.quality.run import measure

    output = JsonOutput(json)
    options = QualityOptions(since=since, until=until, follow=follow, html=html, json=json)
    if follow:
        follow_windows(config, set_, options)
        return
    report = measure(config, set_, options)
    if not output.replaces_text:
        from jobs.verbs.quality.display import show_quality

        show_quality(report)
    output.write(report.as_json())
    if html is not None:
        typer.echo(f"Wrote {html}.", err=output.replaces_text)
    if not report.windows:
        raise typer.Exit(1)
