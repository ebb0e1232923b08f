"""The options that every verb takes, declared once for all modules of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Config = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--config", "-c", help="YAML file, or - for standard input.", metavar="FILE"),
]
Set = Annotated[list[str], typer.Option("--set", help="Overrides one setting; may be repeated.", metavar="KEY=VALUE")]
Home = Annotated[Path, typer.Option("--home", help="Folder for data, jars and state.", metavar="DIR")]
