"""Which of the input's columns a batch reads, and which it merely passes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from streaming.models.signature import Column, Signature
from streaming.settings import EventSettings


@dataclass(frozen=True)
class Needs:
    """The model's columns by name, the envelope's, and those that are kept.

    Any other column can be left alone: it comes along with rejected rows, and stops nothing.
    """

    model: Mapping[str, Column]
    envelope: frozenset[str]
    keep: frozenset[str] | Literal["all"] = frozenset()

    @classmethod
    def of(cls, signature: Signature, envelope: EventSettings, keep: tuple[str, ...] | Literal["all"] = ()) -> Needs:
        """Gather them."""
        roles = frozenset(name for name in (envelope.id, envelope.key, envelope.time) if name)
        columns = {column.name: column for column in signature.columns}
        return cls(columns, roles, keep if keep == "all" else frozenset(keep))

    def reads(self, name: str) -> bool:
        """Return whether the column is used at all."""
        return name in self.model or name in self.envelope or self.keep == "all" or name in self.keep

    def requires(self, name: str) -> bool:
        """Return whether no row can be scored without the column."""
        return name in self.envelope or (name in self.model and self.model[name].required)

    def as_fraction(self, name: str) -> bool:
        """Return whether the model rounds the column's numbers anyway."""
        return name in self.model and self.model[name].is_floating
