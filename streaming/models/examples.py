"""The input example that MLflow logs with a model: rows that the one who logged it took for valid."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from streaming.models.signature import UNNAMED


def read_examples(root: Path, description: Mapping[str, object]) -> tuple[dict[str, Any], ...]:
    """Return the example's rows by column name; none where there is no example, or one of another shape.

    Args:
        root: the version's folder.
        description: its MLmodel file.
    """
    saved = description.get("saved_input_example_info")
    name = saved.get("artifact_path") if isinstance(saved, Mapping) else None
    path = (root / str(name)).resolve()
    if name is None or root.resolve() not in path.parents:
        return ()
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(_clean(row) for row in _rows(content))


def _rows(content: object) -> list[Mapping[str, Any]]:
    if isinstance(content, Mapping) and set(content) == {UNNAMED}:
        return _of_tensors(content[UNNAMED])
    if isinstance(content, Mapping) and isinstance(content.get("columns"), list):
        data = content.get("data")
        lists = [row for row in data if isinstance(row, list)] if isinstance(data, list) else []
        return [dict(zip(content["columns"], row, strict=False)) for row in lists]
    rows = content if isinstance(content, list) else [content]
    return [row for row in rows if isinstance(row, Mapping)]


def _of_tensors(tensors: object) -> list[Mapping[str, Any]]:
    """Return the rows of one tensor without a name, or of several by their names."""
    named = tensors if isinstance(tensors, Mapping) else {UNNAMED: tensors}
    if not all(isinstance(rows, list) for rows in named.values()):
        return []
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=False)]


def list_lengths(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many values the lists of a column have, by its name, where they are all equally long."""
    lengths: dict[str, set[int]] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, list):
                lengths.setdefault(name, set()).add(len(value))
    return {name: next(iter(sizes)) for name, sizes in lengths.items() if len(sizes) == 1}


def _clean(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row without NaN and infinity, which no event can carry: they are nulls of a data frame."""
    return {str(k): None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
