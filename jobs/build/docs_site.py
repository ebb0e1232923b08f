"""The source of the documentation site: the pages and every file that they link to, at their paths in the repository.

MkDocs reads one folder and knows nothing outside it. The copy has the repository's layout, so that a link works on the
site as it does in a checkout, and no page has to be rewritten. Run as ``python -m jobs.build.docs_site FOLDER``.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRST_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")


def gather(root: Path, target: Path) -> list[Path]:
    """Replace ``target`` with the pages of ``root`` and the files that they link to.

    Args:
        root: The repository.
        target: A folder that is removed first if it exists.

    Returns:
        The paths copied, relative to ``root``, in order.

    Raises:
        FileNotFoundError: A page links to a file that does not exist.
    """
    # A page that was removed must not stay on the site.
    shutil.rmtree(target, ignore_errors=True)
    paths = reachable(root)
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / path, target / path)
    return paths


def reachable(root: Path) -> list[Path]:
    """Return the files below ``docs``, the first pages, and what they link to, relative to ``root``."""
    queue = [root / name for name in FIRST_PAGES]
    queue += [path for path in (root / "docs").rglob("*") if path.is_file()]
    seen: set[Path] = set()
    while queue:
        path = queue.pop().resolve()
        if path in seen or path.is_dir():  # MkDocs names a link to a folder
            continue
        seen.add(path)
        if path.suffix == ".md":
            queue += [path.parent / link for link in LINK.findall(path.read_text("utf-8"))]
    return sorted(path.relative_to(root.resolve()) for path in seen)


if __name__ == "__main__":
    gather(ROOT, Path(sys.argv[1]))
