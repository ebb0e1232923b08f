"""The section ``models``: many models in one job, each for its own events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from streaming.settings.base import ModelName, Positive, Seconds, Section


class RouteSettings(Section):
    """How an event's model follows from one of its fields."""

    field: Annotated[str, Field(min_length=1)]
    """The field of the events; a text, or of the type that the models' signatures give it."""
    model: str | None = None
    """The model's registered name, with the field in braces in the place of its value: ``churn-{tenant}``."""
    default: ModelName | None = None
    """The model for events that have no model of their own."""
    unknown: Literal["default", "dead_letter"] = "dead_letter"
    """What happens to an event whose value has no model in the registry, and to one without the field."""

    @model_validator(mode="after")
    def _is_a_rule(self) -> RouteSettings:
        if self.model is not None and self.model.count(f"{{{self.field}}}") != 1:
            raise ValueError(
                f"models.route.model is {self.model!r} and must have {{{self.field}}} once, where the value stands"
            )
        if (self.unknown == "default") != (self.default is not None):
            raise ValueError("models.route.default and models.route.unknown: default go together; set both or neither")
        return self


class ListedModel(Section):
    """One value of the route's field and its model."""

    value: str
    model: ModelName


class ModelsSettings(Section):
    """Many models in one job. Without ``route`` the job has the one of the section ``model``."""

    route: RouteSettings | None = None
    list_: tuple[ListedModel, ...] = Field(default=(), alias="list")
    """Values whose models are named one by one; they go before ``route.model``."""
    resident_bytes: Positive = 512 * 1024**2
    """What a worker keeps of loaded models, by the size of their files; those used least recently go first."""
    model_seconds: Seconds = 60.0
    """The processor time that a task may spend on one model's events of a batch. Those that are left then become dead
    letters ``SCORING_FAILED``, so that a slow model holds the others up no longer than that."""
    load_threads: Annotated[int, Field(ge=1, le=32)] = 2
    """Threads that download, check and compile versions, beside the batches."""
    first_seconds: Seconds = 600.0
    """At the start the job waits at most so long for the versions that the registry names; it scores without those
    that are not ready by then."""

    @model_validator(mode="after")
    def _has_a_rule(self) -> ModelsSettings:
        if self.route is None and self.list_:
            raise ValueError("models.list needs models.route.field: the field whose values it lists")
        if self.route is not None and self.route.model is None and not self.list_:
            raise ValueError("models has neither route.model nor a list, so no event would have a model; set one")
        values = [entry.value for entry in self.list_]
        if len(set(values)) < len(values):
            raise ValueError("models.list has a value twice; one value has one model")
        return self
