"""What ``penstock replay`` says at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from jobs.verbs.replay.backtest_display import show_comparison
from jobs.verbs.replay.run import Replayed
from streaming.backtest.report import as_json


def show(replayed: Replayed, *, for_scripts: bool) -> None:
    """Print the summary and the comparison, for people or for scripts."""
    comparison = replayed.comparison
    if for_scripts:
        told = {} if comparison is None else {"comparison": as_json(comparison)}
        print(json.dumps({**replayed.summary, **told}))
        return
    print(sentence(replayed.summary))
    if comparison is not None:
        show_comparison(Console(), comparison)


def sentence(found: Mapping[str, Any]) -> str:
    """Return a replay's summary in words.

    >>> sentence({"predictions": 9, "dead_letters": 1, "written_before": 0, "versions": {"m v2": 10}, "seconds": 2.0})
    'Replayed 10 events in 2.0 s: 9 predictions, 1 dead letters (m v2: 10).'
    """
    fresh = found["predictions"] + found["dead_letters"]
    versions = ", ".join(f"{version}: {count:,}" for version, count in found["versions"].items())
    made = f"{found['predictions']:,} predictions, {found['dead_letters']:,} dead letters"
    words = f"Replayed {fresh:,} events in {found['seconds']} s: {made}"
    before = f" {found['written_before']:,} more were written by an earlier run." if found["written_before"] else ""
    return f"{words}{f' ({versions})' if versions else ''}.{before}"
