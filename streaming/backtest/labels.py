"""What really happened: a file of labels by event id."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from schemas.label import label_text
from streaming.errors import ConfigurationError

SCHEMA = pa.schema([("event_id", pa.string()), ("label", pa.string())])
_FORMATS = {".parquet": "parquet", ".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}
_COMPRESSIONS = (".gz", ".zst", ".bz2", ".xz")


def read_labels(path: Path) -> pa.Table:
    """Read ``event_id`` and ``label`` from Parquet, CSV or JSON lines, the last two also compressed.

    The last of several labels of an event counts. An event without one is left out.

    Returns:
        A table with the two columns as text: ``true``, ``1`` and ``1.5`` for such values.

    Raises:
        ConfigurationError: the file is not there, cannot be read as what its name says, or lacks a column.
    """
    table = _read(path)
    missing = {"event_id", "label"} - set(table.columns)
    if missing:
        raise ConfigurationError(
            f"{path} has no column {' and '.join(sorted(missing))}; labels need event_id and label, it has"
            f" {', '.join(map(str, table.columns))}"
        )
    labelled = table[table["label"].notna() & table["event_id"].notna()].drop_duplicates("event_id", keep="last")
    columns = {name: [label_text(value) for value in labelled[name]] for name in ("event_id", "label")}
    return pa.table(columns, SCHEMA)


def _read(path: Path) -> pd.DataFrame:
    suffixes = [suffix for suffix in path.suffixes if suffix not in _COMPRESSIONS]
    kind = _FORMATS.get(suffixes[-1] if suffixes else "")
    try:
        if kind == "parquet":
            return pd.read_parquet(path)
        if kind == "csv":
            return pd.read_csv(path, dtype={"event_id": str})
        if kind == "json":
            return pd.read_json(path, lines=True, dtype={"event_id": str}, convert_dates=False)
    except (OSError, ValueError) as problem:
        raise ConfigurationError(f"the labels in {path} cannot be read: {problem}") from problem
    raise ConfigurationError(f"{path} is not known by its name; use .parquet, .csv or .jsonl")
