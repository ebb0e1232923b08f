"""The demonstration's report: a page for a newcomer, and the same numbers as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import isnan
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jobs.demo.results import Latency, Results
from streaming.drift.report.facts import Report


def show(results: Results, console: Console) -> None:
    """Print the report."""
    account, swap = results.account, results.swap
    console.print()
    console.rule("What happened")
    console.print(_account(results))
    console.print(_versions(results))
    verdict = "every event came out exactly once" if account.balanced else "NOT every event came out exactly once"
    console.print(
        f"Missing {account.missing}, duplicates {account.duplicates}: {verdict}, counted by source partition and"
        " offset by a separate read_committed subscriber.",
        highlight=False,
    )
    console.print(
        f"The swap: the alias moved from v{swap.before} to v{swap.after} while {swap.rate:,} events/s came in;"
        f" the first prediction of v{swap.after} was read {swap.seconds:.1f} s later. The scoring job ran on.",
        highlight=False,
    )
    if swap.waiting > 1:
        text = f"The publisher waited {swap.waiting:.0f} s for v{swap.after}: this machine is busy or slow."
        console.print(text, highlight=False)


def _account(results: Results) -> Table:
    account = results.account
    table = Table("stream", "", show_header=False, title=None)
    table.add_row("events in", f"{account.events_in:,}")
    table.add_row("predictions", f"{account.predictions:,}")
    table.add_row("dead letters", f"{account.dead_letters:,}")
    for reason, count in sorted(results.reasons.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(f"  {reason}", f"{count:,}")
    table.add_row("throughput", f"{results.throughput:,.0f} events/s from first to last")
    table.add_row("latency, publish to read", _latency(results.steady))
    table.add_row("  while v2 was being trained here", _latency(results.training))
    table.add_row("whole demonstration", f"{results.seconds:.0f} s")
    return table


def _latency(latency: Latency) -> str:
    if latency.count < 2:
        return "not measured"
    return f"p50 {latency.p50 * 1000:,.0f} ms, p99 {latency.p99 * 1000:,.0f} ms"


def _versions(results: Results) -> Table:
    table = Table("version", "predictions", "labels so far", "accuracy", 'always "on time"', "AUC (0.5 is guessing)")
    for version, quality in results.versions.items():
        table.add_row(
            f"v{version}",
            f"{quality.predictions:,}",
            f"{quality.labelled:,}",
            f"{quality.accuracy:.1%}",
            f"{quality.baseline:.1%}",
            f"{quality.auc:.3f}",
        )
    return table


def write_summary(results: Results, drift: Report, path: Path) -> None:
    """Write the numbers as JSON."""
    account, swap = results.account, results.swap
    summary = {
        "events_in": account.events_in,
        "predictions": account.predictions,
        "dead_letters": account.dead_letters,
        "dead_letters_by_reason": dict(results.reasons),
        "missing": account.missing,
        "duplicates": account.duplicates,
        "unexpected": account.unexpected,
        "throughput_eps": round(results.throughput, 1),
        "latency_seconds": {"steady": _numbers(results.steady), "training": _numbers(results.training)},
        "swap_seconds": round(swap.seconds, 3),
        "swap_from": swap.before,
        "swap_to": swap.after,
        "swap_rate_eps": swap.rate,
        "publisher_waited_seconds": round(swap.waiting, 3),
        "versions": {str(version): _plain(asdict(quality)) for version, quality in results.versions.items()},
        "drift": {
            f"v{version.version}": [column.name for column in version.columns if column.has_moved]
            for version in drift.versions
        },
        "seconds": round(results.seconds, 1),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summary, indent=2) + "\n", "utf-8")


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    """Return the values with NaN, which JSON does not have, as null."""
    return {name: None if isnan(value) else round(value, 4) for name, value in values.items()}


def _numbers(latency: Latency) -> dict[str, float | None]:
    return _plain(asdict(latency))
