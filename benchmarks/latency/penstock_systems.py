"""Our own engines as systems of the benchmark: ``penstock score`` as anybody runs it, with a configuration file."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from benchmarks.latency.system import System, Wiring
from streaming.local.processes import ManagedProcess
from streaming.settings import EngineSettings
from streaming.version import __version__

INTERVAL_SECONDS = EngineSettings().checkpoint_seconds
"""Between two boundaries of the live engine."""


@dataclass(frozen=True)
class PenstockSystem:
    """One engine; what is not about places stands in the configuration as it does by default."""

    kind: Literal["exact", "live"]
    boundary_seconds: float = INTERVAL_SECONDS

    @property
    def name(self) -> str:
        """``penstock-exact`` or ``penstock-live``."""
        return f"penstock-{self.kind}"

    @property
    def version(self) -> str:
        """Our own."""
        return f"penstock {__version__}"

    @property
    def delivery(self) -> str:
        """What the engine promises."""
        return "exactly-once" if self.kind == "exact" else "at-least-once"

    @property
    def interval_seconds(self) -> float:
        """Seconds between two boundaries; 0 for the exact engine, which has none."""
        return self.boundary_seconds if self.kind == "live" else 0.0

    def start(self, wiring: Wiring) -> ManagedProcess:
        """Start the job."""
        config = wiring.folder / "penstock.yaml"
        config.write_text(yaml.safe_dump(settings(self.kind, wiring, self.boundary_seconds)), "utf-8")
        command = [sys.executable, "-m", "penstock", "score", "--config", str(config)]
        log = wiring.folder / f"{self.name}.log"
        return ManagedProcess(self.name, command, log=log, environment=os.environ, grace=45.0)


def settings(kind: str, wiring: Wiring, boundary_seconds: float = INTERVAL_SECONDS) -> dict[str, Any]:
    """Return the configuration; each trial has topics of its own, as trials share a broker."""
    registered = json.loads((wiring.model / "registry.json").read_text())
    own = {name: f"{wiring.source}.{name}" for name in ("model_events", "ledger", "progress")}
    return {
        "application": wiring.source,
        "kafka": {"bootstrap.servers": wiring.bootstrap},
        "input": {"topic": wiring.source},
        "output": {"predictions": wiring.sink, **own},
        "model": {
            "name": registered["name"],
            "alias": registered["alias"],
            "tracking_uri": registered["tracking_uri"],
            "cache_dir": str(wiring.folder / "models"),
        },
        "engine": {
            "kind": kind,
            "checkpoint": str(wiring.folder / "checkpoint"),
            "checkpoint_seconds": boundary_seconds,
        },
        "http": {"port": 0},
        "log": {"format": "json"},
    }


def systems(boundary_seconds: float) -> list[System]:
    """Return both engines, the live one with so many seconds between its boundaries."""
    return [PenstockSystem("exact"), PenstockSystem("live", boundary_seconds)]
