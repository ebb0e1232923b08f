"""``penstock rollout report``: how both versions of a rollout compare on labelled events, and what was done when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobs.configuration.paths import require_writable_file
from jobs.verbs.rollout.desk import rollout_desk, rollout_settings
from jobs.verbs.rollout.options import RolloutReportOptions
from jobs.wiring.quality import cohort_topics, quality_subject
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.cohorts import KafkaCohorts
from streaming.adapters.kafka.rollout_answers import KafkaRolloutAnswers
from streaming.adapters.kafka.scan import KafkaScan
from streaming.clock import Clock, system_clock
from streaming.rollout_report.page.page import write_rollout_page
from streaming.rollout_report.report import ReportSubject, RolloutReport, StepRecords, rollout_report


def reported(
    config: Path | None, overrides: Sequence[str], options: RolloutReportOptions, clock: Clock = system_clock
) -> RolloutReport:
    """Return the report on a rollout, and write its page if that is asked for.

    Raises:
        ConfigurationError: the settings are wrong, there is no such rollout, or no labels.
        BrokerUnavailableError: Kafka does not answer.
    """
    settings = rollout_settings(config, overrides)
    if options.html is not None:
        require_writable_file(options.html, "--html")
    topics = cohort_topics(settings, KafkaAdmin(settings.kafka, settings.application))
    with rollout_desk(settings) as desk:
        story = desk.story(desk.chosen(options.rollout))
    with KafkaScan(settings.kafka, settings.application) as scan:
        cohorts = KafkaCohorts(scan, topics, quality_subject(settings))
        source = KafkaRolloutAnswers(scan, story.declaration, settings.input.topic, story.firsts)
        horizon = cohorts.subject.shape.horizon
        answers = source.answers(settings.output.predictions)
        subject = ReportSubject(story.declaration, horizon, clock(), settings.quality.positive, reached=answers.reached)
        report = rollout_report(
            subject,
            StepRecords(story.transitions, story.verdicts.values()),
            answers.table,
            source.pairs(settings.shadow_topic),
            cohorts.labels,
        )
    if options.html is not None:
        write_rollout_page(report, options.html)
    return report
