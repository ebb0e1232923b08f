"""The benchmark's page: the answer first, then each rate, throughput, a long run, and how it was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.latency.figures import STYLE, Bar, Series, by_percentile, over_time, ranges, save
from benchmarks.latency.stats import PERCENTILES
from benchmarks.latency.summary import Raw, Spread, Summary
from streaming.page.markup import Child, Element, tag
from streaming.page.parts import fact, figure, section
from streaming.page.shell import document

_HEADINGS = {"p999": "p99.9", "max": "max"}
_METHOD = """
Open loop: when each event is due is fixed before the first is sent, and latency counts from then, not from when it was
sent; a stall of the system, or of the feeder, is in the numbers.

An output counts when a reader of committed records (read_committed) in a process of its own was handed it. All
processes are on one machine and read one clock.

A system runs alone, on fresh topics, and is started anew for each run; the order changes from run to run. A backlog
warms it up, and each load's first seconds are left out besides. At the end it gets a burst of events as fast as they
can be sent; throughput counts from the first of them sent to the last output.

Percentiles are of windows, at least three for each system: a run is one window where there are three runs, and is cut
into three where it is the only one. Shown is the median of the windows with the lowest and the highest. A run does not
count if an event has no output, if a prediction is not Spark's, or if the feeder was late.

The system, the broker, the feeder and the reader share the machine's cores.
"""


@dataclass(frozen=True)
class Measured:
    """All there is to show: systems, the rate that headlines are for, the machine, the workload in words, the rest."""

    systems: Sequence[Summary]
    rate: int
    machine: dict[str, str]
    workload: str
    swap: Raw

    @property
    def rates(self) -> list[int]:
        """All rates, the headline's first."""
        rates = {rate for system in self.systems for rate in system.rates}
        return sorted(rates, key=lambda rate: (rate != self.rate, rate))


def write_page(measured: Measured, folder: Path) -> Path:
    """Write ``index.html`` and, for other documents, each plot as a file of its own."""
    path = folder / "index.html"
    sections = list(_sections(measured, folder))
    title = "Latency and throughput"
    about = tag("p", f"Kafka to model to Kafka: {measured.workload}.", class_="soft")
    facts = tag("dl", list(_facts(measured)), class_="facts")
    path.write_text(
        document(title, STYLE, tag("header", tag("h1", title), about), tag("main", facts, sections)), "utf-8"
    )
    return path


def _facts(measured: Measured) -> Iterator[Element]:
    for system in measured.systems:
        p50, p99 = (system.latency(measured.rate, name) for name in ("p50", "p99"))
        if p50 and p99 and system.name.startswith(("penstock", "spark-default", "spark-tuned")):
            yield fact(system.name, f"{_ms(p50.median)} ms", f"p50; p99 {_ms(p99.median)} ms, {system.delivery}")
    if measured.swap.get("swap_silence_ms") is not None:
        twice, lost = measured.swap.get("swap_duplicates"), measured.swap.get("swap_lost")
        yield fact("swap in live", f"{_ms(measured.swap['swap_silence_ms'])} ms", f"silent; {twice} twice, {lost} lost")


def _sections(measured: Measured, folder: Path) -> Iterator[Element]:
    for rate in measured.rates:
        yield _at_rate(measured, rate, folder)
    for part in (_throughput, _timeline, _swapped):
        shown = part(measured, folder)
        if shown is not None:
            yield shown
    yield _method(measured)


def _at_rate(measured: Measured, rate: int, folder: Path) -> Element:
    there = [(number, system) for number, system in enumerate(measured.systems) if system.loads(rate)]
    lines = [Series(system.name, number, system.pooled_us(rate)) for number, system in there]
    tail = by_percentile(f"Latency by percentile at {rate:,} events/s", lines)
    save(tail, folder / f"percentiles-{rate}.svg")
    figures = [figure("Latency of all events", "A line further left is faster; the tail is at the top.", tail)]
    for name in ("p50", "p99"):
        spreads = ((number, system, system.latency(rate, name)) for number, system in there)
        bars = [Bar(system.name, number, s, f"{_ms(s.median)} ms") for number, system, s in spreads if s]
        plot = ranges(f"{name} at {rate:,} events/s", "ms", sorted(bars, key=lambda bar: bar.spread.median))
        save(plot, folder / f"{name}-{rate}.svg")
        figures.append(figure(name, "Median of the windows; the line is from the best to the worst.", plot))
    systems = [system for _, system in there]
    return section(
        f"At {rate:,} events per second", tag("div", figures, class_="figures"), _latency_table(systems, rate)
    )


def _latency_table(systems: Sequence[Summary], rate: int) -> Element:
    titles = [
        "ms",
        *(_HEADINGS.get(name, name) for name in PERCENTILES),
        "cores busy",
        "memory, MB",
        "windows",
        "twice",
    ]
    rows = []
    for system in systems:
        spreads = [system.latency(rate, name) for name in PERCENTILES]
        cores, memory = (system.taken(rate, name) for name in ("cores", "rss_bytes"))
        more = [
            f"{cores.median:.2f}" if cores else "",
            f"{memory.median / 1e6:,.0f}" if memory else "",
            str(system.windows(rate)),
            f"{sum(stage['duplicates'] for stage in system.loads(rate)):,}",
        ]
        rows.append(_row(system, [*map(_spread, spreads), *map(_cell, more)]))
    return _table(titles, rows)


def _throughput(measured: Measured, folder: Path) -> Element | None:
    measured_eps = [(number, system, system.eps) for number, system in enumerate(measured.systems)]
    bars = [Bar(system.name, number, eps, f"{eps.median:,.0f}") for number, system, eps in measured_eps if eps]
    if not bars:
        return None
    plot = ranges("Throughput", "events per second", sorted(bars, key=lambda bar: -bar.spread.median))
    save(plot, folder / "throughput.svg")
    rows = [
        _row(system, [_cell(f"{eps.median:,.0f}" if eps else "", _range(eps, 0)), _cell(system.version, class_="left")])
        for _, system, eps in measured_eps
    ]
    caption = "A burst is worked off; more is better."
    plots = tag("div", figure("Events per second", caption, plot), class_="figures")
    return section("Throughput", plots, _table(["", "events/s", "versions"], rows))


def _timeline(measured: Measured, folder: Path) -> Element | None:
    """Return the longest run of our live engine, by time: its pauses at batch boundaries are seen there."""
    stages = [s for system in measured.systems if system.key == "live" for s in system.loads(measured.rate)]
    if not stages:
        return None
    longest = max(stages, key=lambda stage: float(stage["seconds"]))
    plot = over_time("Latency over a run of the live engine", longest["latencies_us"], longest["rate"])
    save(plot, folder / "live-over-time.svg")
    caption = "By when events were due, in slices of a quarter of a second. Each peak of the upper line is a pause."
    return section("Live, over time", tag("div", figure("", caption, plot), class_="figures"))


def _swapped(measured: Measured, folder: Path) -> Element | None:
    """Return what a swap did, by time: the handover is in the second half."""
    latencies = measured.swap.get("swap_latencies_us")
    if not latencies:
        return None
    plot = over_time("Latency while the live engine's model is swapped", latencies, measured.rate)
    save(plot, folder / "swap-over-time.svg")
    caption = "The alias is moved in the middle; the handover waits for the next boundary."
    return section("A swap in live", tag("div", figure("", caption, plot), class_="figures"))


def _method(measured: Measured) -> Element:
    facts = {**_amounts(measured.systems), **measured.machine}
    machine = tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in facts.items()])
    left_out = [tag("li", f"{system.name}, {problem}") for system in measured.systems for problem in system.problems]
    paragraphs = [tag("li", paragraph) for paragraph in _METHOD.strip().split("\n\n")]
    invalid = [tag("h3", "Runs that do not count"), tag("ul", left_out)] if left_out else None
    summary = tag("summary", tag("b", "Machine and versions"))
    return section("How it was measured", tag("ul", paragraphs), tag("details", summary, machine, open="open"), invalid)


def _amounts(systems: Sequence[Summary]) -> dict[str, str]:
    """Return how large events are, over how many partitions they go, and how often systems ran."""
    runs = [run for system in systems for run in system.runs]
    if not runs:
        return {}
    intervals = sorted({run["interval_seconds"] for run in runs if run.get("interval_seconds")})
    boundaries = (
        {"seconds between live's boundaries": ", ".join(f"{seconds:g}" for seconds in intervals)} if intervals else {}
    )
    return {
        "event": f"{runs[0]['stages'][0]['payload_bytes']:.0f} bytes of JSON",
        "partitions": str(runs[0]["partitions"]),
        **boundaries,
        "runs that count": ", ".join(f"{system.name} {len(system.runs)}" for system in systems),
    }


def _table(titles: Sequence[str], rows: Sequence[Element]) -> Element:
    head = tag("thead", tag("tr", [tag("th", title) for title in titles]))
    return tag("div", tag("table", head, tag("tbody", rows)), class_="wide")


def _row(system: Summary, cells: Sequence[Element]) -> Element:
    return tag("tr", tag("th", system.name, tag("small", system.delivery)), cells)


def _spread(spread: Spread | None) -> Element:
    return _cell(_ms(spread.median), _range(spread)) if spread else _cell("")


def _cell(text: str, more: Child = None, class_: str = "") -> Element:
    return tag("td", text, tag("small", more) if more else None, class_=class_)


def _range(spread: Spread | None, digits: int | None = None) -> str:
    if spread is None:
        return ""
    shown = _ms if digits is None else (lambda value: f"{value:,.{digits}f}")
    return f"{shown(spread.low)} to {shown(spread.high)}"


def _ms(value: float) -> str:
    """Return milliseconds in as many digits as mean something."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
