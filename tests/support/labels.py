"""Made-up predictions and labels of a day, as the quality of a version is measured on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from schemas.quality import MetricFigure, VersionQuality
from streaming.clock import instant
from streaming.quality.cohort import MeasuringRules, measured
from streaming.quality.labels import LabelledPredictions, attach
from streaming.quality.tables import LABELS, PREDICTIONS, by_id, tables

DAY = instant("2013-06-01T00:00:00Z")
HORIZON = timedelta(days=1)
DUE = DAY + timedelta(days=1) + HORIZON


def predicted(
    number: int, prediction: float, probability: Sequence[float] | None = None, **more: Any
) -> dict[str, Any]:
    """The prediction of event ``number``, which happened so many minutes after the day began."""
    row = {
        "prediction_id": f"p{number}",
        "event_id": f"e{number}",
        "key": b"k%d" % number,
        "event_time": DAY + timedelta(minutes=number),
        "prediction": prediction,
        "probability": probability,
        "version": 1,
        "role": "champion",
        "partition": 0,
        "offset": number,
    }
    return {**row, **more}


def label(
    number: int, text: str | None, offset: int = 0, known_at: datetime = DAY + timedelta(hours=30)
) -> dict[str, Any]:
    """A label of event ``number``."""
    return {"identity": by_id(f"e{number}"), "label": text, "known": known_at, "offset": offset}


def table(rows: Iterable[dict[str, Any]], schema: pa.Schema = PREDICTIONS) -> pa.Table:
    """The rows as a table; there may be none."""
    return pa.concat_tables([schema.empty_table(), *tables(rows, schema)])


def labelled(predictions: Iterable[dict[str, Any]], labels: Iterable[dict[str, Any]]) -> LabelledPredictions:
    """The day's predictions with their labels, all of which are due."""
    return attach(table(predictions), [table(labels, LABELS)], DUE)


def of_day(
    predictions: Iterable[dict[str, Any]], labels: Iterable[dict[str, Any]], **rules: Any
) -> tuple[VersionQuality, ...]:
    """What is measured of the day."""
    return measured(labelled(predictions, labels), MeasuringRules(**rules), HORIZON)


def values(figures: Iterable[MetricFigure]) -> dict[str, float | None]:
    """The metrics by name."""
    return {figure.name: figure.value for figure in figures}
