"""``penstock serve``: its options, importing the work only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.command.options import RUN, Config, Set, examples

app = typer.Typer()


@app.command(
    rich_help_panel=RUN,
    epilog=examples(
        "penstock serve -c penstock.yaml",
        "penstock serve -c penstock.yaml --port 9000",
    ),
)
def serve(
    config: Config = None,
    set_: Set = [],
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Listen on this port. The default is serve.port.")
    ] = None,
) -> None:
    """Answer events over HTTP with the model that the registry names, without Spark and Kafka, until stopped."""
    from jobs.verbs.serve.run import serve as run

    run(config, [*set_, *([] if port is None else [f"serve.port={port}"])])
