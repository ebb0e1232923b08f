"""The ``penstock`` command, and the door to the packages behind it.

An installed Penstock keeps ``streaming``, ``jobs`` and ``schemas`` inside ``penstock_app/``, because at the top level
they would collide unseen with other projects' packages of those names; in a checkout they lie beside this file.
``import penstock`` puts their folder first on the path, here and in the Python workers that Spark starts, and refuses
if another package would be imported in their place. See docs/decisions/0001-the-wheel.md.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

PACKAGES = ("streaming", "jobs", "schemas")
_HERE = Path(__file__).resolve().parent
ROOT = _HERE / "penstock_app" if (_HERE / "penstock_app").is_dir() else _HERE
"""The folder that holds the packages."""


class MissingFolderError(FileNotFoundError):
    """The working folder is not there any more."""


def open_packages() -> None:
    """Put the packages' folder first on ``sys.path`` and on ``PYTHONPATH``, for workers.

    Raises:
        ImportError: A foreign package of the same name is loaded already, or lies in the working directory, where
            Spark's workers would find it first.
        MissingFolderError: The working directory was removed.
    """
    if str(ROOT) not in sys.path[:1]:
        sys.path.insert(0, str(ROOT))
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(ROOT) not in inherited[:1]:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, inherited)])
    for name in PACKAGES:
        foreign = _foreign(name)
        if foreign:
            raise ImportError(
                f"Penstock's package '{name}' would be mistaken for {foreign}. Run penstock from another directory, or "
                "in an environment without that package."
            )


def _foreign(name: str) -> str | None:
    """Return where another package called ``name`` comes from, if one stands in the way."""
    ours = ROOT / name / "__init__.py"
    local = _working_folder() / name / "__init__.py"
    if local.exists() and not local.samefile(ours):
        return str(local)
    loaded = sys.modules.get(name)
    spec = None if loaded else importlib.util.find_spec(name)
    origin = getattr(loaded, "__file__", None) or (spec.origin if spec else None)
    if origin and Path(origin).resolve() == ours:
        return None
    return origin or "another module of that name"


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise MissingFolderError("the working folder was removed; change to one that is there") from None


def main() -> None:
    """Run the command line."""
    from jobs.command.main import main as run

    run()


try:
    open_packages()
except (ImportError, MissingFolderError) as error:
    if __name__ != "__main__" and Path(sys.argv[0]).name != "penstock":
        raise
    sys.stderr.write(f"penstock: {error}\n")  # from the command line one sentence is enough
    sys.exit(2 if isinstance(error, MissingFolderError) else 1)

if __name__ == "__main__":
    main()
