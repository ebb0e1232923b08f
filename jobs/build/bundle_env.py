"""``make bundle-env``: what executors import, and the interpreter to run it, as one archive for ``--archives``.

``make bundle-env LIBRARIES=lightgbm`` adds what models of other libraries need.

The packages are copied from the environment that runs this, so that executors have the driver's versions, and nothing
is downloaded. As in every virtual environment the interpreter is a link: each node needs that Python at that path.
"""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Iterable, Sequence
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DISTRIBUTIONS = ("cachetools", "confluent-kafka", "jiter", "msgspec", "numpy", "pyarrow", "pydantic")
"""All that a Spark task imports to decode, look up, score and write. PySpark itself comes with the cluster's Spark."""


def write_environment(target: Path, libraries: Sequence[str] = ()) -> int:
    """Write the archive ``target`` and return its number of files.

    Args:
        target: the archive.
        libraries: distributions that executors need for models of other libraries or for Redis, such as ``lightgbm``.

    Raises:
        PackageNotFoundError: a distribution, or what it requires, is not installed here.
    """
    python = Path(sys.executable).resolve()
    packages = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    files = _files(required([*DISTRIBUTIONS, *libraries]))
    target.parent.mkdir(parents=True, exist_ok=True)
    # Level 1: most of it is shared libraries, which higher levels make slower to write and hardly smaller.
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        # A link and not a copy: the executors have the same interpreter at the same path.
        archive.addfile(_link("bin/python", python))
        archive.addfile(*_text("pyvenv.cfg", f"home = {python.parent}\ninclude-system-site-packages = false\n"))
        # Sorted, so that the same environment gives the same archive.
        for name, file in sorted(files.items()):
            archive.add(file, f"{packages}/{name}", filter=_anonymous)
    return len(files)


def required(names: Sequence[str]) -> set[str]:
    """Return the distributions and all that they require on this machine, by normalised names.

    Raises:
        PackageNotFoundError: one of them is not installed here.
    """
    closed: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name not in closed:
            closed.add(name)
            requirements = map(Requirement, distribution(name).requires or ())
            waiting += [canonicalize_name(r.name) for r in requirements if _applies(r)]
    return closed


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _files(distributions: Iterable[str]) -> dict[str, Path]:
    """Return each distribution's files by their place below site-packages, without scripts and compiled modules."""
    return {
        entry.as_posix(): Path(str(entry.locate()))
        for name in distributions
        for entry in distribution(name).files or ()
        if ".." not in entry.parts and entry.suffix != ".pyc"
    }


def _link(name: str, target: Path) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, str(target)
    return entry


def _text(name: str, content: str) -> tuple[tarfile.TarInfo, io.BytesIO]:
    entry = tarfile.TarInfo(name)
    entry.size = len(content.encode())
    return entry, io.BytesIO(content.encode())


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove the owner of a file: another machine has other users."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    path = Path(sys.argv[1])
    print(f"{write_environment(path, sys.argv[2:])} files in {path}")
