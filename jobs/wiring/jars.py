"""``penstock setup``: fetch the jars, showing what is being fetched."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from streaming.local.jars import JarSets, ensure_jars, jars_in

SHARED = (Path(".penstock"), Path(__file__).resolve().parents[2] / ".penstock")
"""Where jars are looked for beside ``--home``: in the working folder, and in the checkout."""


def jars(home: Path) -> JarSets:
    """Return the jar sets that are there, below ``home`` or in a shared folder; else as :func:`fetch`."""
    present = (sets for folder in (home, *SHARED) if (sets := jars_in(folder)) is not None)
    return next(present, None) or fetch(home)


def fetch(home: Path) -> JarSets:
    """Return the jar sets below ``home``; what is missing is downloaded, with a line that says how far it is.

    Raises:
        SetupError: No Java, no network or no disk space.
    """
    console = Console(stderr=True)
    fetched: list[str] = []
    with console.status("Looking for the jars of Spark's Kafka connector and of Apache Kafka") as status:

        def report(line: str) -> None:
            fetched.append(line.removesuffix(" ...").rsplit("/", 1)[-1])
            status.update(f"Downloading jars, once: {len(fetched)} of about 50, {fetched[-1]}")

        sets = ensure_jars(home, os.environ, report)
    if fetched:
        console.print(f"Downloaded {len(fetched)} jars to {home / 'jars'}; from now on they are used offline.")
    return sets
