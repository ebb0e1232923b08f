"""What the simulation found, as tables and as build/bench/drift.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.drift.alarms import Alarms, Setup
from benchmarks.drift.columns import STILL
from benchmarks.drift.power import MOVES, QUARTER, RULES, DetectionPower
from streaming.drift.decision import DetectionRules

TARGET = Path("build/bench/drift.json")
NOMINAL = DetectionRules().chance
ENOUGH = 1_000
"""From so many rows on, few windows may be too small to say anything."""
CERTAIN = 0.05


@dataclass
class DriftResults:
    """By set-up and columns; with and without the reference's windows; with a season; by rows and movement."""

    still: list[tuple[Setup, int, Alarms]] = field(default_factory=list)
    alike: list[tuple[Setup, Alarms, Alarms]] = field(default_factory=list)
    seasons: list[tuple[Setup, Alarms]] = field(default_factory=list)
    power: dict[int, dict[str, DetectionPower]] = field(default_factory=dict)


def checks(results: DriftResults) -> dict[str, bool]:
    """Say what holds."""
    records = [(rows, name, power.record()) for rows, moves in results.power.items() for name, power in moves.items()]
    moved = [record for _, name, record in records if name != STILL.name]
    still = [alarms.record(setup) for setup, _, alarms in results.still]
    return {
        "false_alarms_within_nominal": all(record["upper"] <= NOMINAL for record in still),
        "seasons_within_nominal": all(alarms.rate <= NOMINAL for _, alarms in results.seasons),
        "few_insufficient": all(record["insufficient_share"] < CERTAIN for record in still if record["rows"] >= ENOUGH),
        "never_worse_than_psi": all(record["worse_p"] > CERTAIN / len(moved) for record in moved),
        "better_at_a_quarter": any(
            record["better_p"] < CERTAIN / len(results.power) for _, name, record in records if name == QUARTER.name
        ),
    }


def passed(results: DriftResults) -> bool:
    return all(checks(results).values())


def write(results: DriftResults, run: dict[str, Any]) -> None:
    """Write the summary; what scoring loses by drift is measured elsewhere and kept."""
    before = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    every = Alarms(*(sum(getattr(a, name) for _, _, a in results.still) for name in ("windows", "signals")))
    summary = {
        "false_alarm_rate": round(every.rate, 5),
        "false_alarm_upper": max(round(alarms.upper, 5) for _, _, alarms in results.still),
        "nominal": NOMINAL,
        "checks": checks(results),
        "detection": {
            name: {str(rows): results.power[rows][name].record() for rows in results.power}
            for name in (move.name for move in MOVES)
        },
        "overhead_ratio": before.get("overhead_ratio"),
        "overhead": before.get("overhead"),
        "false_alarms": [{"columns": number, **alarms.record(setup)} for setup, number, alarms in results.still],
        "alike": [
            {**alarms.record(setup), "rate_by_chance_alone": round(plain.rate, 5)}
            for setup, alarms, plain in results.alike
        ],
        "seasons": [alarms.record(setup) for setup, alarms in results.seasons],
        "false_alarms_of_others": {
            str(rows): {name: round(moves[STILL.name].rate(name), 4) for name in RULES}
            for rows, moves in results.power.items()
        },
        **run,
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(summary, indent=1) + "\n")


def show(results: DriftResults, console: Console) -> None:
    """Print the rates."""
    table = Table(title="Windows without drift that signal", box=SIMPLE)
    for name in ("", "columns", "rows", "windows", "signal", "at most (95 %)", "drift", "too small"):
        table.add_column(name, justify="right" if name else "left", no_wrap=not name)
    for setup, number, alarms in results.still:
        table.add_row(*_line(setup, number, alarms))
    for setup, alarms, plain in results.alike:
        table.add_row(*_line(setup, 30, alarms))
        table.add_row(
            "  by chance alone", "30", f"{setup.rows:,}", f"{plain.windows:,}", f"{plain.rate:.2%}", "", "", ""
        )
    for setup, alarms in results.seasons:
        table.add_row(*_line(setup, 30, alarms))
    console.print(table)
    if results.power:
        _show_power(results, console)


def _show_power(results: DriftResults, console: Console) -> None:
    table = Table(title="Windows in which the moved column is named, and windows until it is", box=SIMPLE)
    for name in ("", "rows", *RULES, "to warning", "to drift"):
        table.add_column(name.replace("_", " "), justify="right" if name else "left", no_wrap=not name)
    for name in (STILL.name, *(move.name for move in MOVES)):
        for rows, moves in results.power.items():
            record = moves[name].record()
            rates = (f"{record[rule]:.1%}" for rule in RULES)
            soon = (
                "" if record[key] is None else f"{record[key]:g}" for key in ("windows_to_warning", "windows_to_drift")
            )
            table.add_row(name, f"{rows:,}", *rates, *soon)
    console.print(table)
    for name, holds in checks(results).items():
        console.print(f"{'holds' if holds else 'FAILS'}: {name.replace('_', ' ')}")


def _line(setup: Setup, number: int, alarms: Alarms) -> tuple[str, ...]:
    record = alarms.record(setup)
    counts = (str(number), f"{setup.rows:,}", f"{alarms.windows:,}")
    rates = (f"{record[name]:.2%}" for name in ("rate", "upper", "drift_rate", "insufficient_share"))
    return (setup.name, *counts, *rates)
