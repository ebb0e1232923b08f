"""The section ``fallback``: what answers when the champion cannot."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from streaming.settings.base import Positive, Seconds, Section

Probability = Annotated[float, Field(ge=0, le=1)]


class FallbackVersion(Section):
    """A registered version that stands in for the champion."""

    model: str | None = None
    """``None``: another version of the job's own model."""
    version: Positive


class DefaultScore(Section):
    """The answer to every event that no model can answer, in the terms of a prediction."""

    prediction: float
    label: Annotated[str, Field(min_length=1)] | None = None
    probability: tuple[Probability, ...] | None = None
    """By class, as the champion's."""

    @model_validator(mode="after")
    def _is_a_prediction(self) -> DefaultScore:
        if self.probability is None:
            return self
        if abs(sum(self.probability) - 1.0) > 1e-6:
            raise ValueError(f"fallback.default.probability adds up to {sum(self.probability):g}; make it 1")
        if self.prediction not in range(len(self.probability)):
            raise ValueError(
                f"fallback.default.prediction is {self.prediction:g}; with {len(self.probability)} probabilities it is"
                f" a class from 0 to {len(self.probability) - 1}"
            )
        return self


class FallbackSettings(Section):
    """The chain: the champion, then a fallback version, then the default score."""

    enabled: bool = False
    version: FallbackVersion | None = None
    """``None``: the version that served before the champion, where there is one."""
    default: DefaultScore | None = None
    open_after: Positive = 3
    """Batches running in which a version fails, before its circuit opens and it is asked no more."""
    pause_seconds: Seconds = 60.0
    """After so long, an open circuit lets one batch through to try the version again."""
    batch_seconds: Seconds | None = None
    """A batch whose scoring and writing take longer is given up, and the next of the chain takes it."""

    request_seconds: Seconds | None = None
    """A request to a server that takes longer is given up by the champion, where it scores beside the event loop."""

    @model_validator(mode="after")
    def _is_asked_for(self) -> FallbackSettings:
        if not self.enabled and (self.version is not None or self.default is not None):
            raise ValueError(
                "fallback has a version or a default and is not enabled; set fallback.enabled to true, or leave them"
                " out"
            )
        return self
