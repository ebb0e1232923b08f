"""The machine and the versions that a result was measured with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from streaming.local.jars import JarSets
from streaming.local.java import find_java

_PACKAGES = ("pyspark", "confluent-kafka", "mlflow", "numpy")


def describe(jars: JarSets) -> dict[str, str]:
    """Return what a reader has to know to judge the numbers, as words."""
    broker = next(jars.broker.glob("kafka_2.13-*.jar"))
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "java": _java(),
        "python": platform.python_version(),
        "broker": f"Apache Kafka {broker.stem.rsplit('-', 1)[1]}, one node, on the same machine",
        **{package: version(package) for package in _PACKAGES},
    }


def _processor() -> str:
    """Return the processor's name, which only Linux tells in a file."""
    information = Path("/proc/cpuinfo")
    match = re.search(r"model name\s*: (.+)", information.read_text()) if information.exists() else None
    return match[1] if match else platform.processor() or platform.machine()


def _java() -> str:
    command = [find_java(os.environ), "-version"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stderr.splitlines()
    return lines[1] if len(lines) > 1 else "unknown"
