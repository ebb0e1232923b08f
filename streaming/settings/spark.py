"""The section ``spark``: the session."""

from __future__ import annotations

from pydantic import Field

from streaming.settings.base import Section, TextMap


class SparkSettings(Section):
    """The session when Penstock starts it itself; under spark-submit, what is set there wins."""

    master: str | None = None
    conf: TextMap = Field(default_factory=dict)
