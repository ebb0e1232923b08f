"""What the fallback chain answers of a batch: all of it, or single rows, and in whose place.

A plan names it before anything is written, so that another attempt, and another driver, answer the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from streaming.models.ref import ModelVersion

Rows = tuple[tuple[int, int], ...]
"""Partitions and offsets."""


@dataclass(frozen=True)
class DegradedPart:
    """Events that ``version`` answers in the place of ``instead_of``.

    Attributes:
        reason: a :class:`schemas.prediction.DegradedReason`.
        version: the fallback version; number 0 is the default score.
        instead_of: the version that could not answer.
        rows: the events; empty for the whole batch.
        score: the default score, as its settings read; ``None`` where a version answers.
    """

    reason: str
    version: ModelVersion
    instead_of: ModelVersion
    rows: Rows = ()
    score: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the part as a plan's record has it, with ``rows`` as offsets by partition."""
        offsets: dict[str, list[int]] = {}
        for partition, offset in self.rows:
            offsets.setdefault(str(partition), []).append(offset)
        names = {"version": self.version, "instead_of": self.instead_of}
        versions = {name: [version.name, version.version, version.run_id] for name, version in names.items()}
        optional = {"rows": offsets if self.rows else None, "score": self.score}
        return {"reason": self.reason, **versions, **{name: value for name, value in optional.items() if value}}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> DegradedPart:
        """Read a part of a plan's record back."""
        offsets = record.get("rows", {}).items()
        return cls(
            reason=record["reason"],
            version=ModelVersion(*record["version"]),
            instead_of=ModelVersion(*record["instead_of"]),
            rows=tuple((int(partition), offset) for partition, part in offsets for offset in part),
            score=record.get("score"),
        )


def whole(parts: Iterable[DegradedPart]) -> DegradedPart | None:
    """Return the part that is a whole batch, if there is one; others are rows on which its version throws."""
    return next((part for part in parts if not part.rows), None)
