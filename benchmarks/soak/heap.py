"""What the JVM's collector leaves: the heap and the metaspace in use after each full collection, from its log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEAP_MB = 1024
_EVERY = "1s"

_USED = re.compile(r"garbage-first heap .* used (\d+)K")
_METASPACE = re.compile(r"Metaspace +used (\d+)K")
_FULL = re.compile(r"\[(\d+)ms\].*Pause Full")


@dataclass(frozen=True)
class Collected:
    """After one full collection, at ``time`` (epoch seconds): bytes in use."""

    time: float
    heap: int
    metaspace: int


def spark_conf(log: Path) -> dict[str, str]:
    """Return the settings of a session whose heap is of fixed size, all resident, and collected in full often.

    A heap that may grow does, whatever the program; with all of it resident from the beginning, what the process gains
    is the program's. Soft references, which the collector would keep for a quarter of an hour where there is so much
    room, go when they are unused for 90 s; not much sooner, or what every swap needs would be made anew each time.

    Compiled code grows for hours, a method at a time, up to a bound of its own (``ReservedCodeCacheSize``): native
    memory tracking showed that nothing else outside the heap does. So only the quick compiler is used, which needs no
    profiles, and a method is compiled after a few calls, not after hundreds: then the warm-up sees nearly all of it.
    """
    options = [
        f"-Xms{HEAP_MB}m",
        "-XX:+AlwaysPreTouch",
        "-XX:+UseG1GC",
        "-XX:TieredStopAtLevel=1",
        "-XX:CompileThresholdScaling=0.05",
        "-XX:ReservedCodeCacheSize=240m",
        "-XX:SoftRefLRUPolicyMSPerMB=100",
        f"-Xlog:gc,gc+heap=debug:file={log}:timemillis:filecount=0",
    ]
    return {
        "spark.driver.memory": f"{HEAP_MB}m",
        # Not extraJavaOptions, which has Penstock's own.
        "spark.driver.defaultJavaOptions": " ".join(options),
        "spark.cleaner.periodicGC.interval": _EVERY,
    }


def collections(log: Path) -> Iterator[Collected]:
    """Yield each full collection in the log: what is in use stands last before the line that ends a collection."""
    heap = metaspace = 0
    for line in log.read_text(errors="replace").splitlines():
        if found := _USED.search(line):
            heap = int(found[1]) * 1024
        elif found := _METASPACE.search(line):
            metaspace = int(found[1]) * 1024
        elif found := _FULL.search(line):
            yield Collected(int(found[1]) / 1000, heap, metaspace)
