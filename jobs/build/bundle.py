"""``make bundle``: one zip for ``spark-submit --py-files``, so that driver and executors can import Penstock."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

PACKAGES = ("streaming", "schemas", "jobs")
ROOT = Path(__file__).resolve().parents[2]


def write_bundle(target: Path) -> int:
    """Write Penstock's packages into the zip ``target`` and return the number of files; equal files, equal bytes."""
    files = sorted(
        path
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(ROOT).as_posix())  # dated 1980, whenever it was checked out
            bundle.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return len(files)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    print(f"{write_bundle(path)} files in {path}")
