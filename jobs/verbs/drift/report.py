"""``penstock drift report``: a report on the windows of the drift topic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import structlog
from rich.console import Console

from jobs.configuration.load import load_settings
from jobs.process.logs import configure_logging
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.drift import read_summaries
from streaming.drift.report.facts import Report
from streaming.drift.report.make import make_report
from streaming.drift.report.options import DriftReportOptions
from streaming.errors import ConfigurationError, RegistryUnavailableError
from streaming.models.profile import ReferenceProfile
from streaming.models.ref import ModelKey
from streaming.settings import Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def report(config: Path | None, overrides: Sequence[str], topic: str | None, choice: DriftReportOptions) -> Report:
    """Read the topic to its present end, and the profiles that the registry has.

    Raises:
        ConfigurationError: the settings or the choice are wrong, or there is no such topic.
        BrokerUnavailableError: Kafka does not answer.
    """
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    return read_report(settings, topic, choice)


def read_report(settings: Settings, topic: str | None, choice: DriftReportOptions) -> Report:
    """Report with loaded settings; raises as :func:`report`."""
    application, model = settings.application, settings.model.name
    choice.period()  # before anybody is asked
    topic = topic or settings.output.drift
    if KafkaAdmin(settings.kafka, application).topic(topic) is None:
        raise ConfigurationError(f"there is no topic {topic!r}: `penstock drift run` makes it; or correct output.drift")
    with Console(stderr=True).status("reading the windows"):
        every = (
            record
            for record in read_summaries(settings.kafka, topic)
            if (record.window.application, record.window.model) == (application, model)
        )
        records = choice.among(every)
        return make_report(
            application, model, records, _profiles(settings, {record.window.version for record in records})
        )


def _profiles(settings: Settings, versions: Iterable[int]) -> Mapping[int, ReferenceProfile]:
    """Return the profiles; without the registry the report has no distributions."""
    from jobs.wiring.drift_profiles import RegisteredProfiles

    try:
        profiles = RegisteredProfiles(settings.model)
        loaded = {version: profiles(ModelKey(settings.model.name, version)) for version in versions}
    except (RegistryUnavailableError, ConfigurationError) as problem:
        _log.warning("no reference profiles", problem=str(problem))
        return {}
    return {version: profile for version, profile in loaded.items() if profile is not None}
