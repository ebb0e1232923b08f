"""``penstock batch``: its options, importing the work only when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from jobs.command.options import RUN, Alias, Config, Encoding, InputFormat, Set, VersionNumber, examples

app = typer.Typer()


@app.command(
    rich_help_panel=RUN,
    epilog=examples(
        "penstock batch -c penstock.yaml --in january.csv --out scored",
        "penstock batch -c penstock.yaml --in 'days/*.parquet' --out scored --model-version 3",
        "penstock batch -c penstock.yaml --in january.csv --out scored --dry-run",
    ),
)
def batch(
    source: Annotated[
        str, typer.Option("--in", metavar="PATH", help="Read a file, a folder, or files that match a quoted pattern.")
    ],
    target: Annotated[str, typer.Option("--out", metavar="PATH", help="Write the scored rows to this folder.")],
    config: Config = None,
    set_: Set = [],
    rejected: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Write the rejected rows to this folder. The default is the name of --out with `.rejected` added.",
        ),
    ] = None,
    format_: InputFormat = None,
    encoding: Encoding = "utf-8",
    out_format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Write parquet, csv or json. The default is the suffix of --out, or parquet.",
        ),
    ] = None,
    model_version: VersionNumber = None,
    alias: Alias = None,
    rollout: Annotated[
        bool,
        typer.Option("--rollout", help="Score each row by the version of its arm in the application's rollout."),
    ] = False,
    keep: Annotated[str | None, typer.Option(metavar="A,B|all", help="Copy these input columns to the output.")] = None,
    partition_by: Annotated[
        list[str], typer.Option(metavar="COLUMN", help="Divide the output by this column. It may be repeated.")
    ] = [],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Set the batch's id. The default is made of the time and a number."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is at --out and --rejected already.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and score a sample, and write nothing.")] = False,
) -> None:
    """Score files. The same command continues a run that was stopped."""
    from jobs.verbs.batch.options import BatchOptions
    from jobs.verbs.batch.run import score_files

    options = BatchOptions(
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
        rollout=rollout,
    )
    columns = [] if keep is None else ["batch.keep=all" if keep == "all" else f"batch.keep=[{keep}]"]
    score_files(config, [*set_, *columns], options, dry_run=dry_run)
