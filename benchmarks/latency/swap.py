"""What a swap of the live engine's model does to its subscribers: silence, events scored twice, events lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from benchmarks.latency.penstock_systems import INTERVAL_SECONDS, PenstockSystem
from benchmarks.latency.plan import Plan
from benchmarks.latency.run import run
from benchmarks.latency.stages import Load
from benchmarks.latency.trial import Bench

RATE = 1_000
_HANDOVER_SECONDS = 20.0
"""From a boundary to the end of the older generation, at the most."""


def measure(bench: Bench, boundary_seconds: float = INTERVAL_SECONDS) -> dict[str, Any]:
    """Serve live at 1,000 events a second, swap the model in the middle, and watch until it is over."""
    known = json.loads((bench.model / "registry.json").read_text())
    client = MlflowClient(known["tracking_uri"], known["tracking_uri"])
    younger = _registered_again(client, known)

    def swap() -> None:
        client.set_registered_model_alias(known["name"], known["alias"], younger)

    # A swap waits for a boundary, and polling comes before that.
    load = Load(RATE, 2 * (boundary_seconds + _HANDOVER_SECONDS), halfway=swap)
    try:
        result = run(bench, PenstockSystem("live", boundary_seconds), Plan(2_000, (load,)), 1)
    finally:
        client.set_registered_model_alias(known["name"], known["alias"], str(known["version"]))
    stage: dict[str, Any] = result.stages[-1] if len(result.stages) > 1 else {}
    return {
        "swap_silence_ms": stage.get("silence_ms"),
        "swap_duplicates": stage.get("duplicates"),
        "swap_lost": stage.get("missing"),
        "swap_latency_ms": stage.get("latency_ms"),
        "swap_handovers": _handovers(bench),
        "swap_problems": result.problems,
        "swap_latencies_us": stage.get("latencies_us"),
    }


def _registered_again(client: MlflowClient, known: dict[str, Any]) -> str:
    """Register the same files as another version, so that its answers can be held against the same expectations."""
    version = client.get_model_version(known["name"], str(known["version"]))
    made = client.create_model_version(known["name"], str(version.source), version.run_id, tags=dict(version.tags))
    return str(made.version)


def _handovers(bench: Bench) -> list[dict[str, Any]]:
    """Read from the job's log what it says of its handovers."""
    logs = sorted(Path(bench.folder).glob("penstock-live-1-*/own/penstock-live.log"))
    lines = logs[-1].read_text(errors="replace").splitlines() if logs else []
    said = [json.loads(line) for line in lines if line.startswith("{") and '"handed over"' in line]
    return [{name: one[name] for name in ("before", "version", "seconds")} for one in said]
