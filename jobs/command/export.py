"""``penstock export``: its options, importing the work only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.command.options import RUN, Config, Json, Set, examples
from jobs.terminal.json_output import JsonOutput

app = typer.Typer()


@app.command(
    rich_help_panel=RUN,
    epilog=examples(
        "penstock export -c penstock.yaml --out edge",
        "penstock export -c penstock.yaml --out edge --model-version 3 --precision float64",
        "penstock export -c penstock.yaml --out edge --json -",
    ),
)
def export(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Write the files to this new folder.")],
    config: Config = None,
    set_: Set = [],
    model_version: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Export this version of the model.")
    ] = None,
    alias: Annotated[
        str | None, typer.Option(metavar="ALIAS", help="Export the version that this alias points at.")
    ] = None,
    precision: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="Write the variant in float64, float32 or int8. It may be repeated. The default is each that makes"
            " sense.",
        ),
    ] = [],
    max_mismatch_share: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Refuse float32 or int8 if more than this share of the answers differ."
        ),
    ] = 0.001,
    json: Json = None,
) -> None:
    """Write a version as ONNX files that need neither Penstock nor Spark, with a report of how they agree with it."""
    from jobs.verbs.export.display import show
    from jobs.verbs.export.options import ExportOptions
    from jobs.verbs.export.run import export as run

    output = JsonOutput(json)
    options = ExportOptions(out, model_version, alias, precision, max_mismatch_share)
    show(run(config, set_, options), options, output)
