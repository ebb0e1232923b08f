"""``penstock setup``: an archive of Spark's classes, and where the sessions find it."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from jobs.wiring.jars import SHARED
from streaming.adapters.session import STARTUP
from streaming.errors import SetupError
from streaming.local.class_archive import find_archive, make_archive
from streaming.local.java import find_java


def class_archive(home: Path = SHARED[0]) -> Path | None:
    """Return the archive for this machine's Java, below ``home`` or in a shared folder; ``None`` if there is none.

    Raises:
        SetupError: No Java.
    """
    return find_archive((home, *SHARED), find_java(os.environ))


def prepare_archive(home: Path) -> None:
    """Make the archive below ``home`` unless there is one. A Java that cannot starts Spark as it always did."""
    if class_archive(home) is not None:
        return
    console = Console(stderr=True)
    java = find_java(os.environ)
    with console.status("Preparing an archive of Spark's classes, once, with which Spark starts twice as fast"):
        try:
            made = make_archive(home, java, STARTUP["spark.driver.extraJavaOptions"], os.environ)
        except SetupError as error:
            console.print(f"Spark will load its classes one by one, as {java} cannot archive them: {error}")
            return
    console.print(f"Prepared {made}, an archive of Spark's classes.")
