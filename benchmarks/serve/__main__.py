"""``penstock serve`` under a fixed rate of requests of one flight, with a swap on the way, beside MLflow's server.

``make bench-serve`` runs it and writes build/bench/serve.json. MLflow's server gets the rates of :data:`RATES` in turn,
as long as its 99th percentile stays below 5 ms, and so does MLServer where it is installed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import typer
from rich.console import Console

from benchmarks.scratch import scratch_folder
from benchmarks.serve.load import LoadFigures, LoadOrder, sustained
from benchmarks.serve.servers import (
    Exhibit,
    MeasuredServer,
    begin_load,
    end_load,
    exhibit,
    mlflow_server,
    mlserver_server,
    penstock_server,
)
from streaming.errors import SetupError

TARGET = Path("build/bench/serve.json")
RATES = (1.0, 5.0, 20.0, 50.0, 100.0, 200.0)
LEFT_OUT = {"left_out": "it was not asked for"}
_WARM_RATE, _WARM_SECONDS = 200.0, 5.0


@dataclass(frozen=True)
class Peer:
    """Another server over the same model, and how it is started."""

    name: str
    server: Callable[[Exhibit], AbstractContextManager[MeasuredServer]]


MLFLOW = Peer("mlflow models serve", mlflow_server)
MLSERVER = Peer("MLServer", mlserver_server)


def main(rate: float = 2_000.0, seconds: float = 20.0, mlflow: bool = True, mlserver: bool = True) -> None:
    """Measure, print and write build/bench/serve.json."""
    console = Console()
    with scratch_folder("serve") as folder, exhibit(folder) as shown:
        console.print(f"penstock serve at {rate:,.0f} requests/s, with a swap")
        ours = measure_penstock(shown, rate, seconds)
        console.print(asdict(ours))
        of_mlflow = measure_peer(MLFLOW, shown, console) if mlflow else LEFT_OUT
        of_mlserver = measure_peer(MLSERVER, shown, console) if mlserver else LEFT_OUT
    result = {
        "penstock": {"rate": rate, **figures(ours)},
        "mlflow": of_mlflow,
        "mlserver": of_mlserver,
        "cores": os.cpu_count(),
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"wrote {TARGET}")


def measure_penstock(shown: Exhibit, rate: float, seconds: float) -> LoadFigures:
    """Return what came of the load, in the middle of which the alias moved."""
    # A registry runs elsewhere; here it would take the processors of those who are measured.
    younger = shown.register_again()
    with penstock_server(shown) as server:
        order = LoadOrder(server.port, "/v1/score", str(shown.events()), rate, seconds)
        end_load(begin_load(replace(order, rate=_WARM_RATE, seconds=_WARM_SECONDS), shown.folder))
        before = server.cpu_seconds()
        load = begin_load(order, shown.folder)
        shown.swap(younger)
        httpx.post(f"http://127.0.0.1:{server.port}/model/reload", trust_env=False, timeout=30).raise_for_status()
        return with_cpu(end_load(load), server.cpu_seconds() - before)


def measure_peer(peer: Peer, shown: Exhibit, console: Console) -> dict[str, Any]:
    """Return what came of the highest rate that a peer sustains, or why it was left out."""
    tried: list[tuple[float, LoadFigures]] = []
    try:
        with peer.server(shown) as server:
            order = LoadOrder(server.port, "/invocations", str(shown.records()), 2.0, 10.0)
            end_load(begin_load(order, shown.folder))
            for rate in RATES:
                console.print(f"{peer.name} at {rate:,.0f} requests/s")
                before = server.cpu_seconds()
                load = begin_load(replace(order, rate=rate), shown.folder)
                measured = with_cpu(end_load(load), server.cpu_seconds() - before)
                console.print(asdict(measured))
                tried.append((rate, measured))
                if not sustained(measured):
                    break
    except SetupError as problem:
        return {"left_out": str(problem)}
    return _best(tried)


def with_cpu(measured: LoadFigures, seconds: float) -> LoadFigures:
    """Return the figures with the processor time that the server took for all requests."""
    return replace(measured, cpu_us=round(seconds / measured.requests * 1e6, 1))


def figures(measured: LoadFigures) -> dict[str, Any]:
    """Return what came of a load for JSON: a time that nobody lived to see is ``None``."""
    return {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in asdict(measured).items()
    }


def _best(tried: list[tuple[float, LoadFigures]]) -> dict[str, Any]:
    """Return the highest rate that was sustained; if none was, the lowest one and what came of it."""
    rates = [(rate, measured) for rate, measured in tried if sustained(measured)]
    rate, measured = rates[-1] if rates else tried[0]
    return {"sustainable_rps": rate if rates else None, "rate": rate, **figures(measured)}


if __name__ == "__main__":
    typer.run(main)
