"""The report as files: JSON for machines, a page for people."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from streaming.drift.page.page import page
from streaming.drift.report.facts import Report
from streaming.page.shell import write_html
from streaming.version import __version__

FORMAT = "penstock.drift.report.v1"


def as_json(report: Report) -> dict[str, Any]:
    """Return everything the report says."""
    return {"format": FORMAT, "made_by": f"penstock {__version__}", **asdict(report)}


def write_page(report: Report, path: Path) -> None:
    """Write the page; its folder is made if need be. Raises ``OSError``."""
    write_html(page(report), path)
