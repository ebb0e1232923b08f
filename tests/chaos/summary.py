"""What a run came to: ``build/chaos/summary.json``, with a line per seed in ``seeds.jsonl`` as it goes."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streaming.accounting.check import DOUBLED, LOST, MISORDERED, MIXED, STRANGE
from streaming.failpoints import NAMES
from tests.chaos.schedule import HANDS, Kind, unmet
from tests.chaos.trial import Verdict

WRONG = (LOST, DOUBLED, MIXED, MISORDERED)


def line(verdict: Verdict) -> dict[str, Any]:
    """Return what is kept of one seed."""
    tally = verdict.tally
    return {
        "seed": verdict.seed,
        "seconds": round(verdict.seconds, 1),
        "story": verdict.story,
        "events": verdict.events,
        "skipped": verdict.skipped,
        "candidates": verdict.candidates,
        "kills": tally.kills,
        "failpoints": dict(tally.hits),
        "fenced": tally.fenced,
        "aborted": verdict.aborted,
        "takeovers": tally.takeovers,
        "exits": tally.exits,
        "unrecorded": verdict.findings.unrecorded,
        **{what: verdict.findings.counts[what] for what in (*WRONG, STRANGE)},
        "examples": dict(verdict.findings.examples),
        "failure": verdict.failure,
    }


def total(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the sums over all seeds."""
    tallies = [verdict.tally for verdict in verdicts]
    hits = sum((tally.hits for tally in tallies), Counter[str]())
    kinds = sum((tally.kinds for tally in tallies), Counter[Kind]())
    counts = sum((verdict.findings.counts for verdict in verdicts), Counter[str]())
    takeovers = sorted(seconds for tally in tallies for seconds in tally.takeovers)
    return {
        "seeds": len(verdicts),
        "kills": sum(tally.kills for tally in tallies),
        "events": sum(verdict.events for verdict in verdicts),
        "skipped": sum(verdict.skipped for verdict in verdicts),
        "candidates": sum(verdict.candidates for verdict in verdicts),
        "failpoints": {name: hits[name] for name in NAMES},
        "fenced": sum(tally.fenced for tally in tallies),
        "aborted": sum(verdict.aborted for verdict in verdicts),
        **{what: counts[what] for what in WRONG},
        STRANGE: counts[STRANGE],
        "unrecorded": sum(verdict.findings.unrecorded for verdict in verdicts),
        "faults": {kind.value: kinds[kind] for kind in Kind},
        "takeover_seconds": {"median": statistics.median(takeovers), "all": takeovers} if takeovers else {},
        "failed_seeds": [verdict.seed for verdict in verdicts if not verdict.clean],
    }


def shortcomings(verdicts: Sequence[Verdict]) -> list[str]:
    """Say why a run over all hands does not count: what it claims to try, it must have tried often enough."""
    alone = [v.seed for v in verdicts if v.tally.kinds[Kind.ROLLOUT_BEGINS] and not v.candidates and not v.failure]
    if alone or len(verdicts) < HANDS:
        return [f"seed {seed}: the candidate of its rollout answered nothing" for seed in alone]
    kinds = sum((verdict.tally.kinds for verdict in verdicts), Counter[Kind]())
    hits = sum((verdict.tally.hits for verdict in verdicts), Counter[str]())
    sums = {"fenced": sum(v.tally.fenced for v in verdicts), "aborted": sum(v.aborted for v in verdicts)}
    return [*unmet(kinds, hits), *(f"no transaction was {what}" for what, count in sums.items() if not count)]


def append(path: Path, verdict: Verdict) -> None:
    """Add a seed's line to a file."""
    with path.open("a") as file:
        file.write(json.dumps(line(verdict)) + "\n")


def write(path: Path, verdicts: Sequence[Verdict]) -> None:
    """Write the sums."""
    path.write_text(json.dumps(total(verdicts), indent=1) + "\n")
