"""A saved pipeline's files, without Spark: JSON metadata and one-row Parquet, a folder for each stage.

Whatever is missing, of another type or unknown is refused with the stage's name; nothing is guessed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from streaming.errors import StageUnreadableError

PIPELINES = frozenset({"org.apache.spark.ml.PipelineModel", "pyspark.ml.pipeline.PipelineModel"})
TUNED = frozenset(
    {
        "org.apache.spark.ml.tuning.CrossValidatorModel",
        "org.apache.spark.ml.tuning.TrainValidationSplitModel",
        "pyspark.ml.tuning.CrossValidatorModel",
        "pyspark.ml.tuning.TrainValidationSplitModel",
    }
)
"""Their best model stands in a folder of its own, and is all that scores."""
_NOT_FINITE = {"NaN": math.nan, "Inf": math.inf, "-Inf": -math.inf}
"""How Spark writes in JSON what JSON cannot say (``DoubleParam.jValueEncode``)."""
_MAX_DEPTH = 20


@dataclass(frozen=True)
class SavedStage:
    """One stage: its class, its parameters with defaults, and the folder of its fitted values."""

    uid: str
    kind: str
    parameters: dict[str, Any] = field(repr=False)
    folder: Path = field(repr=False)
    release: str = ""
    """The release of Spark that saved it; empty where its files do not say."""

    def unreadable(self, detail: str) -> StageUnreadableError:
        """Return the error that says what is wrong with this stage's files."""
        return StageUnreadableError(self.uid, self.kind, detail)

    def has(self, name: str) -> bool:
        """Return whether a parameter has a value, set or default."""
        return self.parameters.get(name) is not None

    def text(self, name: str) -> str:
        """Return a parameter that is text."""
        value = self.parameters.get(name)
        if not isinstance(value, str):
            raise self.unreadable(f"the parameter {name} is {value!r} and not text")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a parameter that is a list of texts."""
        values = self._list(name)
        if not all(isinstance(value, str) for value in values):
            raise self.unreadable(f"the parameter {name} is not a list of texts")
        return values

    def flag(self, name: str) -> bool:
        """Return a parameter that is true or false."""
        value = self.parameters.get(name)
        if not isinstance(value, bool):
            raise self.unreadable(f"the parameter {name} is {value!r} and not true or false")
        return value

    def number(self, name: str) -> float:
        """Return a parameter that is a number."""
        return self._number(name, self.parameters.get(name))

    def whole(self, name: str) -> int:
        """Return a parameter that is a whole number."""
        value = self.parameters.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.unreadable(f"the parameter {name} is {value!r} and not a whole number")
        return value

    def numbers(self, name: str) -> list[float]:
        """Return a parameter that is a list of numbers."""
        return [self._number(name, value) for value in self._list(name)]

    def lists(self, name: str) -> list[list[float]]:
        """Return a parameter that is a list of lists of numbers."""
        values = self._list(name)
        if not all(isinstance(value, list) for value in values):
            raise self.unreadable(f"the parameter {name} is not a list of lists")
        return [[self._number(name, item) for item in value] for value in values]

    def columns(self, side: str) -> list[str]:
        """Return the stage's columns of ``side`` (``input`` or ``output``), whether it has one or several."""
        return self.texts(f"{side}Cols") if self.has(f"{side}Cols") else [self.text(f"{side}Col")]

    def rows(self, name: str = "data") -> list[dict[str, Any]]:
        """Return the fitted values in the stage's folder ``name``, in the order of Spark's files."""
        parts = sorted((self.folder / name).glob("part-*.parquet"))
        if not parts:
            raise self.unreadable(f"there is no Parquet file in {name}")
        try:
            return [row for part in parts for row in pq.ParquetFile(part).read().to_pylist()]
        except (pa.ArrowException, OSError, ValueError) as problem:
            raise self.unreadable(f"a Parquet file in {name} cannot be read: {problem}") from problem

    def row(self) -> dict[str, Any]:
        """Return the fitted values of a stage that has one row of them."""
        rows = self.rows()
        if len(rows) != 1:
            raise self.unreadable(f"there are {len(rows)} rows of fitted values and not one")
        return rows[0]

    def _list(self, name: str) -> list[Any]:
        value = self.parameters.get(name)
        if not isinstance(value, list):
            raise self.unreadable(f"the parameter {name} is {value!r} and not a list")
        return value

    def _number(self, name: str, value: Any) -> float:
        if isinstance(value, str) and value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.unreadable(f"the parameter {name} is {value!r} and not a number")
        try:
            return float(value)
        except OverflowError as problem:
            raise self.unreadable(f"the parameter {name} is beyond all doubles") from problem


def read_stages(folder: Path) -> tuple[SavedStage, ...]:
    """Return a saved model's stages in order, nested pipelines and tuned models opened.

    Raises:
        StageUnreadableError: a file is missing or damaged, or laid out in an unknown way.
    """
    return tuple(_opened(folder, _MAX_DEPTH))


def _opened(folder: Path, depth: int) -> Iterator[SavedStage]:
    stage = _read_stage(folder)
    if depth == 0:
        raise stage.unreadable(f"pipelines are nested more than {_MAX_DEPTH} deep")
    if stage.kind in PIPELINES:
        for inner in _folders(stage):
            yield from _opened(inner, depth - 1)
    elif stage.kind in TUNED:
        yield from _opened(folder / "bestModel", depth - 1)
    else:
        yield stage


def _folders(pipeline: SavedStage) -> list[Path]:
    """Spark's ``Pipeline.SharedReadWrite.getStagePath``: the position, with zeros in front, and the uid."""
    uids = pipeline.texts("stageUids")
    if any(Path(uid).name != uid for uid in uids):
        raise pipeline.unreadable("a stage's uid is not the name of a folder")
    digits = len(str(len(uids)))
    return [pipeline.folder / "stages" / f"{position:0{digits}d}_{uid}" for position, uid in enumerate(uids)]


def _read_stage(folder: Path) -> SavedStage:
    saved = _metadata(folder)
    uid, kind = saved.get("uid"), saved.get("class")
    if not isinstance(uid, str) or not isinstance(kind, str):
        raise StageUnreadableError(folder.name, "", "its metadata name no class or no uid")
    # Spark before 2.4 wrote no defaults; to fill them in would be to guess.
    defaults = saved.get("defaultParamMap", {} if kind.startswith("pyspark.") else None)
    parameters = saved.get("paramMap")
    if not isinstance(defaults, dict) or not isinstance(parameters, dict):
        raise StageUnreadableError(uid, kind, "its metadata have no parameters or no defaults")
    return SavedStage(uid, kind, {**defaults, **parameters}, folder, str(saved.get("sparkVersion", "")))


def _metadata(folder: Path) -> dict[str, Any]:
    parts = sorted((folder / "metadata").glob("part-*"))
    try:
        lines = [line for part in parts for line in part.read_text("utf-8").splitlines() if line.strip()]
        saved = json.loads(lines[0]) if len(lines) == 1 else None
    except (OSError, ValueError, RecursionError) as problem:
        raise StageUnreadableError(folder.name, "", f"its metadata cannot be read: {problem}") from problem
    if not isinstance(saved, dict):
        raise StageUnreadableError(folder.name, "", "its metadata are not one JSON object")
    return saved
