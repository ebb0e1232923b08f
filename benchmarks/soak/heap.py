"""What the JVM's collector leaves: the heap and the metaspace in use after each full collection, from its log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEAP_MB = 1024
_EVERY = "1s"

_USED = re.compile(r"(PSYoungGen|ParOldGen|Metaspace): \d+K\(\d+K\)->(\d+)K")
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
    profiles, and a method is compiled at its third call, not after hundreds: what a swap needs is called once a minute,
    and then the warm-up sees nearly all of it. For the same reason code for a reflective call is made at the first one.
    """
    options = [
        f"-Xms{HEAP_MB}m",
        "-XX:+AlwaysPreTouch",
        "-XX:HeapMaximumCompactionInterval=1",  # else garbage stays where moving what lives is not worth it
        "-XX:TieredStopAtLevel=1",
        "-XX:CompileThresholdScaling=0.01",
        "-XX:ReservedCodeCacheSize=400m",
        "-XX:SoftRefLRUPolicyMSPerMB=100",
        "-Dsun.reflect.noInflation=true",
        f"-Xlog:gc,gc+heap=info,gc+metaspace=info:file={log}:timemillis:filecount=0",
    ]
    return {
        "spark.driver.memory": f"{HEAP_MB}m",
        # Not extraJavaOptions, which has Penstock's own.
        "spark.driver.defaultJavaOptions": " ".join(options),
        "spark.cleaner.periodicGC.interval": _EVERY,
    }


def collections(log: Path) -> Iterator[Collected]:
    """Yield each full collection in the log: what is in use stands last before the line that ends a collection."""
    used: dict[str, int] = {}
    for line in log.read_text(errors="replace").splitlines():
        if match := _USED.search(line):
            used[match[1]] = int(match[2]) * 1024
        elif match := _FULL.search(line):
            yield Collected(int(match[1]) / 1000, used["PSYoungGen"] + used["ParOldGen"], used["Metaspace"])
