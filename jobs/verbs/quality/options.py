"""The options of ``penstock quality run``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streaming.clock import Period
from streaming.errors import ConfigurationError


@dataclass(frozen=True)
class QualityOptions:
    """Which windows are measured, whether to go on, and where the report goes."""

    since: str | None = None
    until: str | None = None
    follow: bool = False
    html: Path | None = None
    json: str | None = None

    def period(self) -> Period:
        """Return the time that is meant.

        Raises:
            ConfigurationError: what was given is no time, nothing lies between them, or ``--follow`` has no report.
        """
        if self.follow and (self.until or self.html or self.json):
            raise ConfigurationError(
                "--follow publishes windows until it is stopped and makes no report; leave out --to, --html and --json,"
                " or leave out --follow"
            )
        return Period.parsed(("--from", "--to"), self.since, self.until)
