"""Find a Java that Spark and Kafka can use, or say exactly what to install."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from streaming.errors import SetupError

SUPPORTED = (17, 21)
REMEDY = """Install Java 17 or 21, then run the command again:
  Debian, Ubuntu   sudo apt-get update && sudo apt-get install -y openjdk-17-jre-headless
                   (as root without sudo; Debian 13 has openjdk-21-jre-headless instead)
  Fedora           sudo dnf install java-21-openjdk-headless
  macOS            brew install openjdk@17
                   export JAVA_HOME="$(brew --prefix openjdk@17)/libexec/openjdk.jdk/Contents/Home"
If it is installed already, point JAVA_HOME at it."""


def find_java(environment: Mapping[str, str]) -> str:
    """Return the path of a ``java`` of a supported version: the one in ``JAVA_HOME``, else the first on ``PATH``.

    Raises:
        SetupError: There is none, or it is another version.
    """
    home = environment.get("JAVA_HOME")
    path = str(Path(home) / "bin" / "java") if home else shutil.which("java", path=environment.get("PATH"))
    if not path:
        raise SetupError(f"Java was not found on PATH, and JAVA_HOME is not set.\n{REMEDY}")
    version = parse_version(_version_output(path))
    if version is None:
        raise SetupError(f"{path} is not a working Java{' (from JAVA_HOME)' if home else ''}.\n{REMEDY}")
    if version not in SUPPORTED:
        raise SetupError(f"{path} is Java {version}, but Spark 4.2 is run here with Java 17 or 21.\n{REMEDY}")
    return path


def parse_version(output: str) -> int | None:
    """Return the major version that ``java -version`` printed, or ``None`` if it printed no version.

    >>> parse_version('openjdk version "17.0.15" 2025-04-15')
    17
    >>> parse_version('java version "1.8.0_392"')
    8
    """
    match = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(match.group(1)) if match else None


def _version_output(path: str) -> str:
    try:
        done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stderr + done.stdout
