"""What ``--json PATH|-`` writes: one JSON object a line, for scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jobs.configuration.paths import require_writable_file

STDOUT = "-"


class JsonOutput:
    """Writes JSON to a file, or to standard output in place of the text for people.

    Args:
        target: the path, ``-`` for standard output, or ``None`` for no JSON at all.

    Raises:
        ConfigurationError: no file can be written at the path.
    """

    def __init__(self, target: str | None = None) -> None:
        self._target = target
        if self._path is not None:
            require_writable_file(self._path, "--json")

    @property
    def replaces_text(self) -> bool:
        """Return whether standard output holds JSON and nothing else."""
        return self._target == STDOUT

    def write(self, *objects: Any) -> None:
        """Write one line for each object; the folders above the file are made. Raises ``OSError``."""
        lines = "".join(f"{json.dumps(each, allow_nan=False)}\n" for each in objects)
        if self.replaces_text:
            print(lines, end="")
        elif self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(lines, "utf-8")

    @property
    def _path(self) -> Path | None:
        return None if self._target in (None, STDOUT) else Path(self._target)
