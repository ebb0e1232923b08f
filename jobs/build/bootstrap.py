"""``make setup``: from a bare Python to an environment that runs Penstock, with a sentence for each thing missing.

Runs before anything is installed, so it imports only the standard library, and Python 3.8 can parse it, so that an old
Python gets the sentence too.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 10)
NEEDED_BYTES = 3 * 1024**3
ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / ".penstock-stamp"
LOCK = ROOT / "requirements" / "lock.txt"


class UnfitError(Exception):
    """The machine lacks something; the text says what and how to get it."""


def main() -> int:
    """Set the environment up if it is not up to date; return the exit code."""
    try:
        check_python(sys.version_info[:2])
        check_java()
        if not STAMP.exists() or STAMP.read_text() != fingerprint():
            check_disk(shutil.disk_usage(str(ROOT)).free)
            make_environment()
        return subprocess.run([str(VENV / "bin" / "penstock"), "setup"], cwd=str(ROOT), check=False).returncode
    except UnfitError as error:
        say(f"set-up: {error}")
        return 2
    except KeyboardInterrupt:
        return 130


def check_python(version: tuple[int, ...]) -> None:
    """Raise ``UnfitError`` unless this Python is new enough and can make environments."""
    text = ".".join(map(str, version))
    if version < OLDEST:
        raise UnfitError(
            f"Python {text} is too old; 3.10 or newer is needed. Install one (Debian, Ubuntu: apt-get install python3 "
            "python3-venv; Fedora: dnf install python3.12; macOS: brew install python@3.12), or name one that is there "
            "already: make setup PYTHON=/path/to/python3.12"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        raise UnfitError(
            f"this Python comes without {error.name}. Debian, Ubuntu: apt-get install python{text}-venv (as root, or "
            "with sudo), then run it again."
        ) from None


def check_java() -> None:
    """Raise ``UnfitError`` unless a Java that Spark can use is there."""
    sys.path.insert(0, str(ROOT))
    from streaming.errors import SetupError
    from streaming.local.java import find_java

    try:
        find_java(os.environ)
    except SetupError as error:
        raise UnfitError(str(error)) from None


def check_disk(free: int) -> None:
    """Raise ``UnfitError`` if the packages and jars would not fit into ``free`` bytes."""
    if free < NEEDED_BYTES:
        raise UnfitError(
            f"{free / 1024**3:.1f} GB are free at {ROOT}, and the environment needs 3 GB. Free some space, or move "
            "the checkout to a larger disk."
        )


def fingerprint() -> str:
    """Return what the environment depends on: the lock, the project's metadata, the Python, the place."""
    parts = [LOCK.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), str((sys.version, str(ROOT))).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def make_environment() -> None:
    """Make ``.venv`` from the lock file, install the project into it, and stamp it."""
    say("Making .venv from requirements/lock.txt (once; about 950 MB are downloaded)")
    run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    run([*pip, "--require-hashes", "-r", str(LOCK)])
    # Without isolation, because an isolated build would download its tools from the network again.
    run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    # Last: an interrupted run leaves no stamp, and the next one starts over.
    STAMP.write_text(fingerprint())
    say("The environment is ready.")


def run(command: list[str]) -> None:
    """Run a step, showing the package it has come to; ``UnfitError`` with the reason if it fails."""
    output: list[str] = []
    names = {line.split("==")[0].lower() for line in LOCK.read_text().splitlines() if "==" in line}
    seen: set[str] = set()
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout or ():
            output.append(line)
            parts = line.replace("==", " ").split()
            if parts[:1] == ["Collecting"] and len(parts) > 1:
                seen.add(parts[1].lower())
                progress(f"  {len(seen)} of at most {len(names)} packages: {parts[1]}")
            elif parts[:1] == ["Installing"]:
                progress(f"  unpacking {len(seen)} packages")
    progress("")
    if process.returncode != 0:
        raise UnfitError(explain("".join(output)))


def explain(output: str) -> str:
    """Return the reason and remedy for a step that printed ``output`` and failed."""
    end = "\n".join(output.strip().splitlines()[-5:])
    if "No space left" in output or "Errno 28" in output:
        return "the disk is full. Free 3 GB and run it again."
    if "DO NOT MATCH THE HASHES" in output:
        return "a package differs from the one in requirements/lock.txt, so it was refused:\n" + end
    if "ensurepip" in output:
        return "pip could not be put into .venv. Debian, Ubuntu: apt-get install python3-venv. Then run it again."
    signs = ("Temporary failure in name", "Connection", "Network is unreachable", "timed out", "ProxyError", "Retrying")
    if any(sign in output for sign in signs):
        reason = re.search(r"\[Errno -?\d+\] [\w ]+", output)
        return (
            "the packages could not be downloaded. Check the network; behind a proxy set HTTPS_PROXY, for another "
            f"package index PIP_INDEX_URL. What pip met: {reason[0] if reason else end}"
        )
    return "a step of the set-up failed:\n" + end


def say(text: str) -> None:
    """Print a line for people to standard error."""
    sys.stderr.write(text + "\n")


def progress(text: str) -> None:
    """Show ``text`` in place on a terminal; elsewhere print nothing."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K" + text)
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
