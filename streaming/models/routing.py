"""Which of many models an event is for, by the value of one of its fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import takewhile

from streaming.settings import ModelsSettings


@dataclass(frozen=True)
class RoutingRule:
    """A field's value to a registered model's name.

    Attributes:
        field: the field of the events.
        before: what stands before the value in a model's name, and ``after`` behind it; ``None`` if only ``listed``
            values have a model.
        after: see there.
        listed: the models of values that are named one by one; they go before the pattern.
        default: the model of events that no other model is for, if ``unknown_to_default``.
        unknown_to_default: what has no model of its own goes to ``default``, else it is a dead letter.
    """

    field: str
    before: str | None = None
    after: str = ""
    listed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default: str | None = None
    unknown_to_default: bool = False

    @classmethod
    def from_settings(cls, settings: ModelsSettings) -> RoutingRule:
        """Return the rule of the section ``models``.

        >>> route = {"field": "tenant", "model": "churn-{tenant}"}
        >>> str(RoutingRule.from_settings(ModelsSettings.model_validate({"route": route})))
        'churn-{tenant}'
        """
        route = settings.route
        if route is None:
            raise ValueError("models.route is not set")
        before, brace, after = (route.model or "").partition(f"{{{route.field}}}")
        return cls(
            field=route.field,
            before=before if brace else None,
            after=after,
            listed={entry.value: entry.model for entry in settings.list_},
            default=route.default,
            unknown_to_default=route.unknown == "default",
        )

    def __str__(self) -> str:
        """Return the pattern, which names the table of models in plans and logs."""
        return "models" if self.before is None else f"{self.before}{{{self.field}}}{self.after}"

    def name(self, value: str | None, models: Container[str]) -> str | None:
        """Return the model that an event is for; ``None`` if it is for none.

        Args:
            value: of the event's field, ``None`` where it has none.
            models: the names of those that take part.
        """
        own = None if value is None else self._own(value)
        if own is not None and own in models:
            return own
        return self.default if self.unknown_to_default else None

    def claims(self, name: str) -> bool:
        """Return whether some value, or the default, leads to a registered model of this name."""
        if name == self.default or name in self.listed.values():
            return True
        return self.before is not None and self._is_of_pattern(name, self.before)

    @property
    def prefix(self) -> str:
        """The common beginning of the names of all models that the rule can claim."""
        names = [*self.listed.values(), *([self.default] if self.default else [])]
        columns = zip(*names, *([] if self.before is None else [self.before]), strict=False)
        return "".join(signs[0] for signs in takewhile(lambda signs: len(set(signs)) == 1, columns))

    def _own(self, value: str) -> str | None:
        if value in self.listed:
            return self.listed[value]
        return None if self.before is None or not value else f"{self.before}{value}{self.after}"

    def _is_of_pattern(self, name: str, before: str) -> bool:
        length = len(before) + len(self.after)
        return len(name) > length and name.startswith(before) and name.endswith(self.after)
