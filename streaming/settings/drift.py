"""The settings of ``penstock drift``: how long windows are, and when a column's movement is called drift."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from streaming.settings.base import Port, Positive, Seconds, Section


class DriftColumn(Section):
    """One column's own rules; what is not set is as for all columns."""

    ignore: bool = False
    min_rows: Positive | None = None
    negligible: Annotated[float, Field(ge=0)] | None = None
    enter: Positive | None = None
    leave: Positive | None = None


class DriftSettings(Section):
    """Windows are of event time. ``columns`` may name ``prediction``, ``confidence`` and ``invalid`` as well."""

    window_seconds: Positive = 3600
    slide_seconds: Positive | None = None
    """The time from one window's start to the next; ``None``: windows do not overlap."""
    lateness_seconds: Annotated[int, Field(ge=0)] = 600
    """A window is closed when all active partitions have come so far behind its end."""
    idle_seconds: Positive = 60
    """A partition that is silent for so long holds no window open."""
    chance: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    """The probability that any column signals in a window in which nothing has moved (family-wise)."""
    min_rows: Positive = 500
    """A window with fewer rows of a column says nothing about it."""
    negligible: Annotated[float, Field(ge=0)] = 0.0005
    """A smaller effect never signals, on the scale of the stability index: 0.0005 is a shift of 0.022 deviations."""
    enter: Positive = 2
    """Windows running that signal until a column is in drift; the first is a warning."""
    leave: Positive = 2
    """Windows running without a signal until it is over."""
    max_invalid_share: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """The largest share of dead letters that is normal; a larger one is drift of the pseudo-column ``invalid``."""
    columns: dict[str, DriftColumn] = Field(default_factory=dict)
    starting: Literal["earliest", "latest"] = "earliest"
    """The place in the predictions where a first run starts."""
    checkpoint: str | None = None
    """A path or URI; ``None``: ``.penstock/checkpoints/<application>-drift``."""
    trigger_seconds: Seconds = 5.0
    """The time between two reads of the predictions. A longer one reports windows later and costs less."""
    max_rows_per_batch: Positive = 1_000_000
    metrics_host: str = "127.0.0.1"
    metrics_port: Port | None = 8089
    """The port of ``penstock drift run``, which is a process apart from the scoring job; ``None``: no endpoint."""

    @model_validator(mode="after")
    def _even_slides(self) -> DriftSettings:
        if self.slide_seconds is not None and self.window_seconds % self.slide_seconds:
            raise ValueError("drift.window_seconds is not a multiple of drift.slide_seconds; set one that divides it")
        return self
