"""The section ``batch``: what is added to each row of a file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from streaming.settings.base import Positive, Section


class BatchSettings(Section):
    """What ``penstock batch`` adds to each row, and how it cuts its work."""

    risk: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=lambda: {"low": 0.0, "medium": 0.3, "high": 0.7}
    )
    """Risk category to the least probability of the positive class (the second of two) that is in it."""
    keep: tuple[str, ...] | Literal["all"] = ()
    """Input columns to write beside the prediction."""
    unit_bytes: Positive = 256 * 1024 * 1024
    """Input files are scored in groups of about this size; a killed run goes on behind the last group it finished."""
    experiment: str = "penstock-batch"

    @model_validator(mode="after")
    def _from_zero(self) -> BatchSettings:
        bounds = list(self.risk.values())
        if bounds and (min(bounds) != 0.0 or len(set(bounds)) < len(bounds)):
            raise ValueError("batch.risk needs one category from 0.0 on and a bound of its own for each other")
        return self
