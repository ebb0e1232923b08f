"""``penstock quality run``: predictions measured by their labels, once over a range, or window by window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobs.configuration.load import load_settings
from jobs.configuration.paths import require_writable_file
from jobs.process.logs import configure_logging
from jobs.process.stopping import StopRequest, unless_asked
from jobs.terminal.progress import steps
from jobs.verbs.quality.options import QualityOptions
from jobs.wiring.quality import quality_rounds, served_metrics, tell_window
from streaming.clock import Clock, system_clock
from streaming.quality.cohort import MatureCohort
from streaming.quality.page.page import write_quality_page
from streaming.quality.report import QualityReport, quality_report


def measure(
    config: Path | None, overrides: Sequence[str], options: QualityOptions, clock: Clock = system_clock
) -> QualityReport:
    """Measure the windows of a range, and publish those that are mature and not published yet.

    Raises:
        ConfigurationError: the settings, the options or the topics are wrong.
        DataError: records were deleted while they were read.
        FencedError: another run has begun to publish.
        BrokerUnavailableError: Kafka does not answer.
    """
    from rich.console import Console

    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    period = options.period()
    if options.html is not None:
        require_writable_file(options.html, "--html")
    cohorts = []
    with quality_rounds(settings, clock) as rounds, steps(Console(stderr=True)) as step:
        for cohort in rounds.measured(period.since, period.until):
            step(f"measured {cohort.window.start:%Y-%m-%d %H:%M}")
            if isinstance(cohort, MatureCohort):
                rounds.publish(cohort)
            cohorts.append(cohort)
    report = quality_report((settings.application, settings.model.name), settings.quality.slice, cohorts)
    if options.html is not None:
        write_quality_page(report, options.html)
    return report


def follow(config: Path | None, overrides: Sequence[str], options: QualityOptions, clock: Clock = system_clock) -> None:
    """Publish each window once it is mature, until asked to stop; raises as :func:`measure`."""
    settings = load_settings(config, overrides)
    configure_logging(settings.log)
    period, stopping = options.period(), StopRequest(settings.engine.stop_seconds)
    stopping.listen()
    metrics = served_metrics(settings.quality)
    with unless_asked(stopping), quality_rounds(settings, clock) as rounds:
        while not stopping.asked.is_set():
            for cohort in rounds.closed(period.since):
                tell_window(cohort)
                if isinstance(cohort, MatureCohort):
                    metrics.closed(cohort.versions, cohort.window.end.timestamp())
                if stopping.asked.is_set():
                    return
            stopping.asked.wait(settings.quality.poll_seconds)
