"""``penstock setup``: an archive of Spark's classes, and where the sessions find it."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from jobs.wiring.jars import SHARED
from streaming.adapters.session import STARTUP
from streaming.errors import SetupError
from streaming.local.class_archive import find_archive, make_archive, using
from streaming.local.java import find_java


def archive_options() -> str:
    """Return the JVM's options for the archive of this machine's Java, none if there is no such archive.

    Raises:
        SetupError: No Java.
    """
    archive = find_archive(SHARED, find_java(os.environ))
    return using(archive) if archive else ""


def prepare_archive(home: Path) -> None:
    """Make the archive below ``home`` unless there is one. With a Java that cannot, Spark starts without."""
    java = find_java(os.environ)
    if find_archive((home, *SHARED), java) is not None:
        return
    console = Console(stderr=True)
    with console.status("Preparing an archive of Spark's classes, once, with which Spark starts twice as fast"):
        try:
            made = make_archive(home, java, STARTUP["spark.driver.extraJavaOptions"], os.environ)
        except SetupError as error:
            console.print(f"Spark will load its classes one by one, as {java} cannot archive them: {error}")
            return
    console.print(f"Prepared {made}, an archive of Spark's classes.")
