"""How fast the tiers decode JSON beside the reference, which is also the last of them.

Both read the same batches in turn, several times, on one core; the best time of each counts, because whatever else runs
on the machine only adds. ``make bench-decoding`` runs it and writes build/bench/decoding.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.latency.load import event
from benchmarks.latency.workloads import DENSE, FLIGHTS, MIXED, Workload
from streaming.formats.json.rows import JsonRowDecoder
from streaming.formats.json.tiers.decoder import TieredRowDecoder
from streaming.models.seams import RowDecoder
from streaming.models.signature import Signature
from streaming.settings import EventSettings

TARGET = Path("build/bench/decoding.json")
MAX_VALUE_BYTES = 1 << 20


@dataclass(frozen=True)
class Load:
    """One batch of events to decode."""

    name: str
    signature: Signature
    values: list[bytes]


@dataclass(frozen=True)
class Speed:
    """What came of a load: microseconds of one core for each event."""

    load: str
    bytes_per_event: float
    tiers_us: float
    reference_us: float

    @property
    def ratio(self) -> float:
        """How many times as many events the tiers decode in the same time."""
        return self.reference_us / self.tiers_us


def loads(events: int) -> Iterable[Load]:
    """Yield events of three widths as they are, and flights with what slows the tiers down."""
    flights = _events(FLIGHTS, events)
    yield Load("flights, 18 fields", FLIGHTS.signature, flights)
    yield Load("flights in batches of 10", FLIGHTS.signature, flights[:10])
    yield Load("with three unread fields", FLIGHTS.signature, _with(flights, b'"tail":"N1","seats":9,"late":null'))
    yield Load("with an unread object", FLIGHTS.signature, _with(flights, b'"crew":{"captain":"A","others":[1,2]}'))
    yield Load("with a quote in a text", FLIGHTS.signature, _with(flights, b'"note":"said \\"go\\""'))
    broken = [value[:-1] if number % 100 == 0 else value for number, value in enumerate(flights)]
    yield Load("one in a hundred cut off", FLIGHTS.signature, broken)
    yield Load("all cut off", FLIGHTS.signature, [value[:-1] for value in flights])
    yield Load("all with a name twice", FLIGHTS.signature, _with(flights, b'"note":1,"note":2'))
    mistyped = [value.replace(b'"event_id":', b'"event_id":1.5,"other":', 1) for value in flights]
    yield Load("all with a wrong type", FLIGHTS.signature, mistyped)
    yield Load("mixed, 52 fields", MIXED.signature, _events(MIXED, events // 3))
    yield Load("images, 786 fields", DENSE.signature, _events(DENSE, events // 30))


def speed(load: Load, rounds: int) -> Speed:
    """Measure both decoders, which have to agree."""
    batch = pa.array(load.values, pa.binary())
    plan = (load.signature, EventSettings(), MAX_VALUE_BYTES)
    tiers, reference = TieredRowDecoder(*plan), JsonRowDecoder(*plan)
    if not tiers.read(batch).equals(reference.read(batch)):
        raise RuntimeError(f"the decoders disagree on {load.name}; run make fuzz")
    times = [(_seconds(tiers, batch, repeat=3), _seconds(reference, batch)) for _ in range(rounds)]
    rows = len(load.values)
    return Speed(
        load=load.name,
        bytes_per_event=sum(map(len, load.values)) / rows,
        tiers_us=1e6 * min(ours for ours, _ in times) / rows,
        reference_us=1e6 * min(theirs for _, theirs in times) / rows,
    )


def main(events: int = 10_000, rounds: int = 5) -> None:
    """Measure every load, print the table and write the result."""
    console = Console()
    table = Table("", "bytes", "tiers, us", "reference, us", "ratio", title="Decoding an event on one core")
    results = []
    for load in loads(events):
        result = speed(load, rounds)
        results.append(vars(result) | {"ratio": round(result.ratio, 2)})
        numbers = (result.bytes_per_event, result.tiers_us, result.reference_us, result.ratio)
        table.add_row(
            result.load, *(f"{number:,.{digits}f}" for number, digits in zip(numbers, (0, 2, 1, 1), strict=True))
        )
    console.print(table)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(json.dumps(results, indent=1) + "\n")


def _events(workload: Workload, count: int) -> list[bytes]:
    return [event(number, body) for number, body in enumerate(islice(workload.bodies(), count))]


def _with(values: list[bytes], fields: bytes) -> list[bytes]:
    """Return events with more fields at the end."""
    return [value[:-1] + b"," + fields + b"}" for value in values]


def _seconds(decoder: RowDecoder, batch: pa.BinaryArray, repeat: int = 1) -> float:
    best = float("inf")
    for _ in range(repeat):
        started = time.thread_time()
        decoder.read(batch)
        best = min(best, time.thread_time() - started)
    return best


if __name__ == "__main__":
    typer.run(main)
