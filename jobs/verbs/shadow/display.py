"""What a shadow has done, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show_shadow(summary: Mapping[str, Any]) -> None:
    """Print how many events each version scored, what has no pair, and which versions were refused."""
    table = Table(box=None, header_style="bold")
    for name in ("", "predictions"):
        table.add_column(name, justify="right" if name else "left")
    for version_and_role, count in sorted(summary["pairs"].items()):
        table.add_row(f"paired by version {version_and_role}", f"{count:,}")
    for reason, count in sorted(summary["skipped"].items()):
        table.add_row(f"not paired: {reason}", f"{count:,}")
    console = Console(soft_wrap=True, highlight=False)
    console.print(table if table.row_count else "No prediction of a rollout was there to pair.")
    for version, why in summary["refused"].items():
        console.print(f"{version} was refused: {why}", style="red", markup=False)
