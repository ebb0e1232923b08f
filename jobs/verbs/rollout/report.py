"""``penstock rollout report``: how both versions of a rollout compare on labelled events, and what was done when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobs.configuration.paths import require_writable_file
from jobs.process.logs import configure_logging
from jobs.terminal.progress import progress_bar
from jobs.verbs.rollout.desk import rollout_desk, rollout_settings
from jobs.verbs.rollout.options import RolloutReportOptions
from jobs.wiring.quality import quality_subject
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.cohorts import CohortTopics, KafkaCohorts
from streaming.adapters.kafka.ledger_reader import KafkaLedgerReader
from streaming.adapters.kafka.rollout_answers import KafkaRolloutAnswers
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import Clock, system_clock
from streaming.errors import ConfigurationError
from streaming.ledger.rollout_story import RolloutStory
from streaming.rollout_report.page.page import write_rollout_page
from streaming.rollout_report.report import ReportSubject, RolloutReport, rollout_report
from streaming.settings import Settings


def reported(
    config: Path | None, overrides: Sequence[str], options: RolloutReportOptions, clock: Clock = system_clock
) -> RolloutReport:
    """Return the report on a rollout, and write its page if that is asked for.

    Raises:
        ConfigurationError: the settings are wrong, there is no such rollout, or no labels.
        BrokerUnavailableError: Kafka does not answer.
    """
    settings = rollout_settings(config, overrides)
    configure_logging(settings.log)
    if options.html is not None:
        require_writable_file(options.html, "--html")
    with rollout_desk(settings) as desk:
        declaration = desk.chosen(options.rollout).declaration
    with KafkaScan(settings.kafka, settings.application) as scan:
        cohorts = KafkaCohorts(scan, _topics(settings), quality_subject(settings))
        ledger = KafkaLedgerReader(scan, settings.output.ledger, settings.application)
        with progress_bar("reading the ledger") as progress:
            story = RolloutStory.of(declaration.name, ledger.records(progress))
        source = KafkaRolloutAnswers(scan, declaration, settings.input.topic, story.firsts)
        horizon = cohorts.subject.shape.horizon
        answers = source.answers(settings.output.predictions)
        subject = ReportSubject(declaration, horizon, clock(), settings.quality.positive, reached=answers.reached)
        report = rollout_report(
            subject,
            story.transitions,
            answers.table,
            source.pairs(settings.shadow_topic),
            cohorts.labels,
        )
    if options.html is not None:
        write_rollout_page(report, options.html)
    return report


def _topics(settings: Settings) -> CohortTopics:
    labels = settings.quality.labels
    if labels is None:
        raise ConfigurationError("quality.labels is not set: name the topic on which the labels are (docs/quality.md)")
    admin = KafkaAdmin(settings.kafka, settings.application)
    for name, setting in ((settings.output.predictions, "output.predictions"), (labels, "quality.labels")):
        if admin.topic(name) is None:
            raise ConfigurationError(f"there is no topic {name!r}; create it, or correct {setting}")
    return CohortTopics(settings.output.predictions, labels, settings.input.topic)
