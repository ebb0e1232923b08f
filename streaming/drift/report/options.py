"""Which of the windows on the topic are reported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.drift import SummaryRecord
from streaming.clock import Period, instant
from streaming.drift.report.make import by_version
from streaming.errors import ConfigurationError

LAST = "last"


@dataclass(frozen=True)
class DriftReportOptions:
    """Which windows are reported: a time, a version, and each version's windows up to the Nth. The default is all."""

    since: str | None = None
    until: str | None = None
    version: int | None = None
    window: str = LAST

    def period(self) -> Period:
        """Return the time between which windows are meant.

        Raises:
            ConfigurationError: what was given is no time, or nothing lies between them.
        """
        return Period.parsed(("--from", "--to"), self.since, self.until)

    def among(self, records: Iterable[SummaryRecord]) -> list[SummaryRecord]:
        """Return those that are meant.

        Raises:
            ConfigurationError: what was given is no time, or no window.
        """
        period = self.period()
        number = self._number()
        matching = [
            record
            for record in records
            if (period.since is None or instant(record.window.start) >= period.since)
            and (period.until is None or instant(record.window.end) <= period.until)
            and self.version in (None, record.window.version)
        ]
        return [record for windows in by_version(matching).values() for record in windows[:number]]

    def _number(self) -> int | None:
        if self.window == LAST:
            return None
        # isdigit alone accepts digits such as a superscript two, which int refuses.
        if not self.window.isascii() or not self.window.isdigit() or int(self.window) < 1:
            raise ConfigurationError(
                f"--window {self.window} is not valid; use `last` or the number of a window, from 1"
            )
        return int(self.window)
