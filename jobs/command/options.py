"""The options that several verbs take, declared once, and the examples below each verb's help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Read the settings from this YAML file; - is standard input."),
]
Set = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override one setting. It may be repeated.")]
Home = Annotated[Path, typer.Option("--home", metavar="DIR", help="Keep data, jars and state in this folder.")]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="PATH|-", help="Write JSON, for scripts, to this file; - is standard output."),
]
Html = Annotated[Path | None, typer.Option("--html", metavar="PATH", help="Write the report as a page to this file.")]
VersionNumber = Annotated[int | None, typer.Option(min=1, metavar="N", help="Score with this version of the model.")]
Alias = Annotated[str | None, typer.Option(metavar="ALIAS", help="Score with the version that this alias points at.")]
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="NAME", help="Read parquet, csv or json. The default is taken from the file suffix."
    ),
]
Encoding = Annotated[
    str, typer.Option(metavar="NAME", help="Read CSV files in this encoding: utf-8, latin-1, cp1252 and so on.")
]

RUN, LOOK, PROVE, LOCAL = "Run", "Look", "Prove", "Local services"
"""The groups in which ``penstock --help`` shows the verbs."""


def examples(*commands: str) -> str:
    """Return the end of a verb's help: one command a line."""
    return "\n\n".join(("Examples:", *(f"$ {command}" for command in commands)))


RepairDryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show how many events of which offsets are meant, and write nothing.")
]
