"""``penstock serve`` under a fixed rate of requests of one flight, with a swap on the way, beside MLflow's server.

``make bench-serve`` runs it and writes build/bench/serve.json. MLflow's server gets the rates of :data:`RATES` in turn,
as long as its 99th percentile stays below 5 ms. MLServer is not measured: it is no
dependency of Penstock's, and nothing installs it.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import httpx
import typer
from rich.console import Console

from benchmarks.scratch import scratch_folder
from benchmarks.serve.load import LoadFigures, LoadOrder, sustained
from benchmarks.serve.servers import Exhibit, begin_load, end_load, exhibit, mlflow_server, penstock_server

TARGET = Path("build/bench/serve.json")
RATES = (1.0, 5.0, 20.0, 50.0, 100.0, 200.0)
_WARM_RATE, _WARM_SECONDS = 200.0, 5.0


def main(rate: float = 2_000.0, seconds: float = 20.0, mlflow: bool = True) -> None:
    """Measure, print and write build/bench/serve.json."""
    console = Console()
    with scratch_folder("serve") as folder, exhibit(folder) as shown:
        console.print(f"penstock serve at {rate:,.0f} requests/s, with a swap")
        ours = measure_penstock(shown, rate, seconds)
        console.print(asdict(ours))
        theirs = [] if not mlflow else measure_mlflow(shown, console)
    result = {
        "penstock": {"rate": rate, **figures(ours)},
        "mlflow": _best(theirs) if mlflow else None,
        "mlserver": None,
        "mlserver_left_out": "it is not installed: it is no dependency of Penstock's",
        "cores": os.cpu_count(),
    }
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"wrote {TARGET}")


def measure_penstock(shown: Exhibit, rate: float, seconds: float) -> LoadFigures:
    """Return what came of the load, in the middle of which the alias moved."""
    with penstock_server(shown) as server:
        order = LoadOrder(server.port, "/v1/score", str(shown.events()), rate, seconds)
        end_load(begin_load(replace(order, rate=_WARM_RATE, seconds=_WARM_SECONDS), shown.folder))
        before = server.cpu_seconds()
        load = begin_load(order, shown.folder)
        shown.swap()
        httpx.post(f"http://127.0.0.1:{server.port}/model/reload", trust_env=False, timeout=30).raise_for_status()
        return with_cpu(end_load(load), server.cpu_seconds() - before)


def measure_mlflow(shown: Exhibit, console: Console) -> list[tuple[float, LoadFigures]]:
    """Return what came of each rate, up to the first that it does not sustain."""
    tried: list[tuple[float, LoadFigures]] = []
    with mlflow_server(shown) as server:
        order = LoadOrder(server.port, "/invocations", str(shown.records()), 2.0, 10.0)
        end_load(begin_load(order, shown.folder))
        for rate in RATES:
            console.print(f"mlflow models serve at {rate:,.0f} requests/s")
            before = server.cpu_seconds()
            load = begin_load(replace(order, rate=rate), shown.folder)
            measured = with_cpu(end_load(load), server.cpu_seconds() - before)
            console.print(asdict(measured))
            tried.append((rate, measured))
            if not sustained(measured):
                break
    return tried


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
