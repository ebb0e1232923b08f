"""``penstock batch``: its options, importing the work only when it runs."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from jobs.command.options import Config, Set

app = typer.Typer()


@app.command()
def batch(
    source: Annotated[str, typer.Option("--in", metavar="PATH", help="A file, a folder, or a pattern in quotes.")],
    target: Annotated[str, typer.Option("--out", metavar="PATH", help="The folder of scored rows.")],
    config: Config = None,
    set_: Set = [],  # noqa: B006
    rejected: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="PATH", help="The folder of rejected rows; else beside --out, with `.rejected`."),
    ] = None,
    format_: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--format", metavar="NAME", help="Of the input, if its suffix does not say: parquet, csv, json."),
    ] = None,
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="Encoding of CSV files, if it is not UTF-8: latin-1, cp1252, ...")
    ] = "utf-8",
    out_format: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="NAME", help="Of the output; else by the suffix of --out, else parquet."),
    ] = None,
    model_version: Annotated[Optional[int], typer.Option(min=1, metavar="N", help="Score with this version.")] = None,  # noqa: UP045
    alias: Annotated[Optional[str], typer.Option(help="Score with the version it points at.")] = None,  # noqa: UP045
    keep: Annotated[Optional[str], typer.Option(metavar="A,B|all", help="Input columns to write, too.")] = None,  # noqa: UP045
    partition_by: Annotated[list[str], typer.Option(metavar="COLUMN", help="Of the output; may be repeated.")] = [],  # noqa: B006
    name: Annotated[Optional[str], typer.Option(help="The batch's id; else the time and a number.")] = None,  # noqa: UP045
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is at the targets.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, score a sample, and write nothing.")] = False,
) -> None:
    """Score files; a run that was killed goes on where it was."""
    from jobs.verbs.batch.options import Order
    from jobs.verbs.batch.run import score_files

    order = Order(
        source=source,
        target=target,
        rejected=rejected,
        format=format_,
        encoding=encoding,
        out_format=out_format,
        model_version=model_version,
        alias=alias,
        partition_by=tuple(partition_by),
        name=name,
        overwrite=overwrite,
    )
    kept = [] if keep is None else ["batch.keep=all" if keep == "all" else f"batch.keep=[{keep}]"]
    score_files(config, [*set_, *kept], order, dry_run=dry_run)
