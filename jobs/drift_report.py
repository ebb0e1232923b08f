"""``penstock drift report``: what the windows on the drift topic say together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from rich.console import Console

from jobs.config import load_settings
from schemas.drift import SummaryRecord
from streaming.adapters.kafka import KafkaAdmin
from streaming.adapters.kafka_drift import read_summaries
from streaming.clock import given_instant, instant
from streaming.drift.report.facts import Report
from streaming.drift.report.make import by_version, make_report
from streaming.errors import ConfigurationError, RegistryUnavailableError
from streaming.models.profile import ReferenceProfile
from streaming.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
LAST = "last"


@dataclass(frozen=True)
class Choice:
    """Which windows: of ``topic`` in place of the settings' one, between two times, of one version, up to one."""

    topic: str | None = None
    since: str | None = None
    until: str | None = None
    version: int | None = None
    window: str = LAST

    def among(self, records: Iterable[SummaryRecord]) -> list[SummaryRecord]:
        """Return those that are meant.

        Raises:
            ConfigurationError: what was given is no time, or no window.
        """
        since = given_instant("--from", self.since) if self.since else None
        until = given_instant("--to", self.until) if self.until else None
        number = self._number()
        found = [
            record
            for record in records
            if (since is None or instant(record.window.start) >= since)
            and (until is None or instant(record.window.end) <= until)
            and self.version in (None, record.window.version)
        ]
        return [record for windows in by_version(found).values() for record in windows[:number]]

    def _number(self) -> int | None:
        if self.window == LAST:
            return None
        if not self.window.isascii() or not self.window.isdigit() or int(self.window) < 1:
            raise ConfigurationError(f"--window {self.window} is neither `last` nor the number of a window, from 1 on")
        return int(self.window)


def report(config: Path | None, overrides: Sequence[str], choice: Choice) -> Report:
    """Read the topic to its present end, and the versions' profiles where the registry has them.

    Raises:
        ConfigurationError: the settings or the choice are wrong, or there is no such topic.
        BrokerUnavailableError: Kafka does not answer.
    """
    settings = load_settings(config, overrides)
    application, model = settings.application, settings.model.name
    topic = choice.topic or settings.output.drift
    if KafkaAdmin(settings.kafka, application).topic(topic) is None:
        raise ConfigurationError(f"there is no topic {topic!r}: `penstock drift run` makes it; or correct output.drift")
    with Console(stderr=True).status("reading the windows"):
        every = (
            record
            for record in read_summaries(settings.kafka, topic)
            if (record.window.application, record.window.model) == (application, model)
        )
        records = choice.among(every)
        return make_report(application, model, records, _profiles(settings, {one.window.version for one in records}))


def _profiles(settings: Settings, versions: Iterable[int]) -> Mapping[int, ReferenceProfile]:
    """Without the registry there is a report all the same, but no distributions."""
    from jobs.drift_profiles import RegisteredProfiles

    try:
        profiles = RegisteredProfiles(settings.model)
        found = {version: profiles(version) for version in versions}
    except (RegistryUnavailableError, ConfigurationError) as problem:
        _log.warning("no reference profiles", problem=str(problem))
        return {}
    return {version: profile for version, profile in found.items() if profile is not None}
