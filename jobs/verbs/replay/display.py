"""What ``penstock replay`` prints at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from jobs.terminal.json_output import JsonOutput
from jobs.verbs.replay.backtest_display import show_comparison
from jobs.verbs.replay.run import ReplayResult
from streaming.backtest.report import as_json


def show(replayed: ReplayResult, output: JsonOutput) -> None:
    """Print the summary and the comparison, for people or for scripts."""
    comparison = replayed.comparison
    output.write({**replayed.summary, **({} if comparison is None else {"comparison": as_json(comparison)})})
    if output.replaces_text:
        return
    print(sentence(replayed.summary))
    if comparison is not None:
        show_comparison(Console(), comparison)


def sentence(summary: Mapping[str, Any]) -> str:
    """Return a replay's summary in words.

    >>> sentence({"predictions": 9, "dead_letters": 1, "written_before": 0, "versions": {"m v2": 10}, "seconds": 2.0})
    'Replayed 10 events in 2.0 s: 9 predictions, 1 dead letters (m v2: 10).'
    """
    fresh = summary["predictions"] + summary["dead_letters"]
    versions = ", ".join(f"{version}: {count:,}" for version, count in summary["versions"].items())
    made = f"{summary['predictions']:,} predictions, {summary['dead_letters']:,} dead letters"
    replayed = f"Replayed {fresh:,} events in {summary['seconds']} s: {made}"
    before = f" {summary['written_before']:,} more were written by an earlier run." if summary["written_before"] else ""
    return f"{replayed}{f' ({versions})' if versions else ''}.{before}"
