"""How ``penstock rollout`` shows its answers to people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from jobs.terminal.repairs import range_sentences, show_sentences
from jobs.verbs.rollout.options import RolloutSizeOptions
from jobs.verbs.rollout.run import SizedComparison
from streaming.quality.words import figure_text, labelled_text, metrics_of, version_text
from streaming.rollout.states import TAKEN_BACK, TAKING_BACK
from streaming.rollout_report.judged import StepJudged, power_text
from streaming.rollout_report.report import RolloutReport
from streaming.rollout_report.words import cautions, decisive, difference_text, step_text, time_text, way
from streaming.words import plural

_WENT_BACK = {phase.value for phase in TAKING_BACK | TAKEN_BACK}


def show_sizes(comparisons: Sequence[SizedComparison], options: RolloutSizeOptions) -> None:
    """Print the question as a sentence, a line for each way to compare, and what to mind."""
    question, console = options.question, Console()
    names = {
        "same": "both versions score the same events",
        "own": f"the candidate has {question.share:g} of the events",
    }
    console.print(
        Text(
            f"To find an error rate of {question.error_rate + question.worse_by:g} in place of"
            f" {question.error_rate:g} with a chance of {question.power:g}, and to call an equal candidate worse with a"
            f" chance of {question.alpha:g}:"
        ),
        soft_wrap=True,
    )
    days = [Column("days", justify="right")] if options.events_per_day is not None else []
    counts = (Column(title, justify="right") for title in ("one look", "a look at any time"))
    table = Table("labelled events", *counts, *days, box=None)
    for comparison in comparisons:
        cells = [f"{comparison.sizes.once:,}", f"{comparison.sizes.always:,}"]
        cells += [f"{comparison.days:,}"] if comparison.days is not None else []
        table.add_row(names[comparison.events], *cells)
    console.print(table)
    console.print(Text(_caution(options)), soft_wrap=True)


def _caution(options: RolloutSizeOptions) -> str:
    if options.events_per_day is None:
        return (
            "This takes events as independent. Those of a day are alike: --events-per-day and --day-deviation say more."
        )
    if options.day_deviation == 0:
        return "This takes days as alike. Give --day-deviation as a backtest measured it, or the days are too few."
    return "The days are those of the judge, which looks at each day's mean."


def show_status(status: Mapping[str, Any]) -> None:
    """Print where a rollout stands."""
    Console().print(_status(status), soft_wrap=True)


def show_verdict(verdict: Mapping[str, Any]) -> None:
    """Print what the judge found."""
    Console().print(_grid(_judged(verdict)), soft_wrap=True)


def watch_status(statuses: Iterable[Mapping[str, Any]]) -> None:
    """Show each status in the place of the one before."""
    with Live(console=Console(), auto_refresh=False) as live:
        for status in statuses:
            live.update(_status(status), refresh=True)


def _status(status: Mapping[str, Any]) -> Table:
    return _grid(_facts(status))


def _grid(facts: Iterable[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, text in facts:
        table.add_row(Text(name, style="dim"), Text(text, overflow="fold"))
    return table


def _facts(status: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    step = f" {status['step']} of {status['steps']}" if status["phase"] == "step" else ""
    yield "rollout", f"{status['rollout']}, of {status['model']} v{status['version']}"
    yield "state", f"{status['phase']}{step} since {status['since']}"
    yield "because", status["why"]
    begins = "" if status["begun"] or not status["share"] else ", from the first batch of the step on"
    yield "share", f"{status['share']:g} of the keys{begins}, weight epoch {status['weight_epoch']}"
    for role, counts in status["answered"].items():
        yield role, f"{counts['events']:,} events in this step, of which {counts['dead_letters']:,} are dead letters"
    if status["judge"]:
        yield from _judged(status["judge"])
    if status["phase"] in _WENT_BACK:
        for part in status["ranges"]:
            offsets = f"offsets {part['start']:,} to {part['end'] - 1:,}"
            yield "answered", f"{offsets} of partition {part['partition']}, weight epoch {part['weight_epoch']}"
    if status["next"]:
        yield "next", status["next"]


def _judged(judge: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "judge", f"{judge['finding']} at {judge['at']}: {judge['why']}"
    for name, check in judge["checks"].items():
        yield f"  {name}", f"{check['sentence']} ({power_text(name, dry_run=check['dry_run'])})"


def show_repair(result: Mapping[str, Any]) -> None:
    """Print what was corrected, and which answers can no longer be corrected."""
    show_sentences(repair_sentences(result))


def repair_sentences(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a repair's result in sentences."""
    topic, events = result["topic"], result["events"]
    answered = f"{events:,} events of {topic} that {result['rollout']}'s candidate answered"
    if result["dry_run"]:
        yield f"{answered} would be scored again by {result['champion']}."
    elif events and not result["offsets"]:
        yield f"{answered} were corrected by an earlier run; nothing was written."
    else:
        made = f"{result['predictions']:,} predictions and {result['dead_letters']:,} dead letters"
        yield f"{answered} were scored again by {result['champion']} in {result['seconds']} s: {made}."
        if result["still_dead"]:
            failed = plural(result["still_dead"], "event")
            yield f"No second dead letter was written for {failed} on which {result['champion']} fails, too."
    yield from range_sentences(result)


def show_report(report: RolloutReport, console: Console | None = None) -> None:
    """Print what the labels say, both ways to compare, the arms, and the steps with their reasons."""
    console = console or Console()
    comparison = decisive(report)
    console.rule(Text(f"{report.rollout}: v{report.candidate} against the champion, by {report.loss}"))
    console.print(Text(f"{way(comparison)}: {comparison.sentence}"), soft_wrap=True)
    for each in (report.paired, report.unpaired):
        if each is not None:
            counts = f"{plural(each.events, 'labelled event')} on {plural(len(each.days), 'day')}"
            line = f"{way(each)}: {difference_text(each)}; {counts}; {time_text(each, report.margin)}"
            console.print(Text(line), soft_wrap=True)
    for caution in cautions(report):
        console.print(Text(caution, style="dim"), soft_wrap=True)
    if report.arms:
        console.print(_arms(report))
    console.print(_steps(report))
    for judged in report.judged:
        console.print(_judged_step(judged))


def _arms(report: RolloutReport) -> Table:
    metrics = [metric for metric in metrics_of(report.arms[0].kind) if metric.name in _ARM_METRICS]
    numbers = (Column(metric.title, justify="right") for metric in metrics)
    table = Table("version", Column("labelled", justify="right"), *numbers, box=None)
    for arm in report.arms:
        table.add_row(
            version_text(arm), labelled_text(arm), *(figure_text(arm.figure(metric.name)) for metric in metrics)
        )
    return table


def _steps(report: RolloutReport) -> Table:
    table = Table("at (UTC)", "came to", "because", box=None)
    for step in report.steps:
        table.add_row(step.at[:19].replace("T", " "), step_text(step), Text(step.why, overflow="fold"))
    return table


def _judged_step(judged: StepJudged) -> Table:
    title = f"The judge on weight epoch {judged.weight_epoch}, {judged.at[:19].replace('T', ' ')}: {judged.why}"
    table = Table("check", "looked at", "says", "may do", box=None, title=title, title_justify="left")
    for check in judged.checks:
        power = power_text(check.check, dry_run=check.dry_run)
        table.add_row(check.check, f"{check.count:,}", Text(check.sentence, overflow="fold"), power)
    return table


_ARM_METRICS = ("accuracy", "auc", "log_loss", "macro_f1", "mae", "rmse", "bias")
"""The metrics that have room on a terminal."""
