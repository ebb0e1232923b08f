"""The settings of ``penstock quality``: where labels come from, and how long they are waited for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from streaming.settings.base import Port, Positive, Seconds, Section, Topic


class QualitySettings(Section):
    """Windows are of event time."""

    labels: Topic | None = None
    """The topic on which labels are; the command needs one."""
    window_seconds: Positive = 86_400
    horizon_seconds: Positive = 86_400
    """How long after a window's end labels are waited for. Then the window is mature and is published."""
    lateness_seconds: Annotated[int, Field(ge=0)] = 3600
    """How long after its own time an event, or after it became known a label, may be written to its topic."""
    slice: str | None = None
    """A field of the events; metrics are told for each of its values, too."""
    most_slices: Positive = 20
    """The largest slices are told apart, the rest together."""
    positive: str | None = None
    """The class that AUC, precision and recall are about, if there are two; ``None``: the second."""
    poll_seconds: Seconds = 60.0
    """With ``--follow``: the time between two looks for windows that have become mature."""
    metrics_host: str = "127.0.0.1"
    metrics_port: Port | None = None
    """With ``--follow``: the port for Prometheus; ``None``: no endpoint."""
