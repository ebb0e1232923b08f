"""How ``penstock replay --compare`` shows a comparison on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from jobs.terminal.text import text_of
from streaming.backtest.bootstrap import Measured
from streaming.backtest.comparison import Comparison
from streaming.backtest.disagreements import Disagreement, SideAnswer
from streaming.backtest.verdict import Word
from streaming.backtest.words import span
from streaming.words import number, share, signed

_STYLES = {Word.BETTER: "bold green", Word.WORSE: "bold red", Word.NOT_TOLD: "bold yellow", Word.SAME: "bold"}
_MOST_LISTED = 5


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Print the verdict, what was compared, the metrics and the largest disagreements."""
    names, verdict = comparison.names, comparison.verdict
    console.rule(Text(_one_line(f"{names.candidate} against {names.recorded}")))
    console.print(Text(verdict.word.value.capitalize(), style=_STYLES[verdict.word]), Text(verdict.sentence))
    for objection in verdict.but:
        console.print(Text(f"  but: {objection}"))
    console.print(_facts(comparison))
    if comparison.labelled is not None:
        console.print(_metrics(comparison.labelled.metrics, comparison.options.confidence))
    if comparison.disagreements:
        console.print(_disagreements(comparison.disagreements[:_MOST_LISTED]))


def _facts(comparison: Comparison) -> Table:
    coverage, agreement = comparison.coverage, comparison.agreement
    table = Table.grid(padding=(0, 2))
    ends = f"{share(agreement.low)} to {share(agreement.high)}"
    for name, text in (
        ("source", comparison.names.source),
        ("event times", f"{coverage.first} to {coverage.last}" if coverage.first else "not known"),
        ("events", f"{coverage.events:,}, of which both sides predicted {coverage.both:,}"),
        ("with a label", f"{coverage.labelled:,}"),
        ("agreement", f"{share(agreement.value)} ({ends}); {coverage.identical:,} exactly equal"),
    ):
        table.add_row(Text(name, style="dim"), Text(_one_line(text)))
    if (shift := comparison.shift) is not None:
        moved = f"{number(shift.recorded.mean)} → {number(shift.candidate.mean)}"
        distances = f"Kolmogorov-Smirnov {number(shift.ks)}, stability index {number(shift.psi)}"
        text = f"{shift.what}: mean {moved}, {distances}"
        table.add_row(Text("scores", style="dim"), Text(_one_line(text)))
    return table


def _metrics(metrics: Iterable[Measured], confidence: float) -> Table:
    interval = f"{confidence:.0%} interval"
    table = Table("", _number("recorded"), _number("candidate"), _number("difference"), interval, "", box=None)
    for measured in metrics:
        word, style = ("better", "green") if measured.gain.low > 0 else ("worse", "red")
        decided = measured.gain.low > 0 or measured.gain.high < 0
        table.add_row(
            measured.metric.title,
            number(measured.recorded.value),
            number(measured.candidate.value),
            signed(measured.difference.value),
            span(measured.difference),
            Text(word, style=style) if decided else Text("not told", style="dim"),
        )
    return table


def _disagreements(disagreements: Iterable[Disagreement]) -> Table:
    table = Table("largest disagreements", "event", "recorded", "candidate", "true", box=None)
    for disagreement in disagreements:
        answers = (_answer_text(disagreement.recorded), _answer_text(disagreement.candidate), disagreement.truth)
        table.add_row(
            f"{disagreement.partition}:{disagreement.offset}",
            *(Text(_one_line(word)) for word in (disagreement.event_id or "", *answers)),
        )
    return table


def _answer_text(answer: SideAnswer) -> str:
    probability = "" if answer.score is None else f" ({answer.score:.3f})"
    return f"{answer.prediction}{probability}"


def _number(title: str) -> Column:
    return Column(title, justify="right")


def _one_line(text: str) -> str:
    return text_of(text.encode("utf-8", "replace"))
