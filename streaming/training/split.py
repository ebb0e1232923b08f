"""The split by time: a model is judged on what came after everything it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.errors import ConfigurationError
from streaming.training.dataset import LABEL, TIME

_MOST_CLASSES = 100


@dataclass(frozen=True)
class Split:
    """Rows before ``cut`` train, rows from ``cut`` on validate; the label is 0 to ``classes`` - 1."""

    train: DataFrame
    validation: DataFrame
    cut: datetime
    classes: int


def time_split(frame: DataFrame, validation_fraction: float) -> Split:
    """Cut where about ``validation_fraction`` of the rows is later; rows of one instant stay on one side.

    Raises:
        ConfigurationError: a side has fewer than two classes, or the label is not a class number.
    """
    micros = F.unix_micros(TIME)
    row = frame.agg(F.percentile_approx(micros, 1 - validation_fraction, 10_000)).first()
    if row is None or row[0] is None:
        raise ConfigurationError("there are no rows to split; check train.from_time and train.to_time")
    # Rows of one instant stay on one side, or the model would be tested on what it has seen.
    later = micros >= row[0]
    counts = frame.groupBy(later.alias("later"), LABEL).count().limit(2 * _MOST_CLASSES).collect()
    present = {part: {row[LABEL] for row in counts if row["later"] == part} for part in (False, True)}
    _check(present[False], "training")
    _check(present[True], "validation")
    cut = datetime.fromtimestamp(row[0] / 1e6, tz=timezone.utc)
    return Split(frame.where(~later), frame.where(later), cut, int(max(present[False] | present[True])) + 1)


def _check(classes: set[float | None], part: str) -> None:
    if any(value is None or value < 0 or value != int(value) for value in classes) or len(classes) >= _MOST_CLASSES:
        raise ConfigurationError("train.label must hold true/false or the whole numbers 0, 1, 2, ... for the classes")
    if len(classes) < 2:
        raise ConfigurationError(
            f"the {part} part has {len(classes)} class(es) of the label, which is too little to learn or to judge;"
            " take a longer time range or another train.validation_fraction"
        )
