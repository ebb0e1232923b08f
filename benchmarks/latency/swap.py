"""What a swap of the live engine's model does to its subscribers: silence, events scored twice, events lost."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmarks.latency.penstock_systems import INTERVAL_SECONDS, PenstockSystem
from benchmarks.latency.plan import Plan
from benchmarks.latency.run import run
from benchmarks.latency.stages import Load
from benchmarks.latency.trial import Bench

RATE = 1_000
_AFTER_SECONDS = 1.0
_HANDOVER_SECONDS = 20.0
"""From a boundary to the end of the older generation, at the most."""


def measure(bench: Bench, boundary_seconds: float = INTERVAL_SECONDS) -> dict[str, Any]:
    """Serve live at 1,000 events a second, swap the model in the middle, and watch until it is over."""
    served = json.loads((bench.model / "registry.json").read_text())
    client = MlflowClient(served["tracking_uri"], served["tracking_uri"])
    younger = registered_again(bench.model)

    def swap() -> None:
        client.set_registered_model_alias(served["name"], served["alias"], younger)

    # A swap waits for a boundary, and polling comes before that.
    load = Load(RATE, 2 * (boundary_seconds + _HANDOVER_SECONDS), halfway=swap)
    try:
        result = run(bench, PenstockSystem("live", boundary_seconds), Plan(2_000, (load,)), 1)
    finally:
        client.set_registered_model_alias(served["name"], served["alias"], str(served["version"]))
    stage: dict[str, Any] = result.stages[-1] if len(result.stages) > 1 else {}
    handovers = _handovers(bench)
    return {
        "swap_silence_ms": silence_ms(stage.get("silences", ()), handovers),
        "swap_run_silence_ms": stage.get("silence_ms"),
        "swap_duplicates": stage.get("duplicates"),
        "swap_lost": stage.get("missing"),
        "swap_latency_ms": stage.get("latency_ms"),
        "swap_handovers": handovers,
        "swap_problems": result.problems,
        "swap_latencies_us": stage.get("latencies_us"),
    }


def registered_again(model: Path) -> str:
    """Register a model's files as another version, so that its answers can be held against the same expectations."""
    served = json.loads((model / "registry.json").read_text())
    client = MlflowClient(served["tracking_uri"], served["tracking_uri"])
    version = client.get_model_version(served["name"], str(served["version"]))
    made = client.create_model_version(served["name"], str(version.source), version.run_id, tags=dict(version.tags))
    return str(made.version)


def silence_ms(silences: Sequence[tuple[int, int]], handovers: Sequence[dict[str, Any]]) -> float | None:
    """Return the longest silence while two generations run beside each other, and a second later.

    The pause at the boundary before, which a swap waits for, is there without a swap, too; it is in the run's silence.

    Args:
        silences: begin and end of each, by the monotonic clock, in nanoseconds.
        handovers: as the job reports them, by the wall clock.
    """
    # The job's log has times of the wall clock, the silences are by the monotonic one.
    ahead = time.time() - time.monotonic()
    windows = [
        (handover["at"] - handover["seconds"] - ahead, handover["at"] + _AFTER_SECONDS - ahead)
        for handover in handovers
    ]
    lengths = [end - begin for begin, end in silences if any(b < end / 1e9 and begin / 1e9 < e for b, e in windows)]
    return round(max(lengths) / 1e6, 3) if lengths else None


def _handovers(bench: Bench) -> list[dict[str, Any]]:
    """Read from the job's log what it says of its handovers."""
    logs = sorted(Path(bench.folder).glob("penstock-live-1-*/own/penstock-live.log"))
    lines = logs[-1].read_text(errors="replace").splitlines() if logs else []
    handovers = [json.loads(line) for line in lines if line.startswith("{") and '"handed over"' in line]
    names = ("before", "version", "seconds")
    return [
        {name: handover[name] for name in names} | {"at": _seconds(handover["timestamp"])} for handover in handovers
    ]


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()
