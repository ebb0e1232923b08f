"""What came of a unit, and of a whole batch by adding them up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from streaming.errors import InvariantError


@dataclass(frozen=True)
class BatchCounts:
    """Rows by what became of them. ``rejected`` is by reason; ``sketches`` hold the scores' distribution, in base64."""

    rows: int = 0
    scored: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    sketches: tuple[str, ...] = ()

    def __add__(self, other: BatchCounts) -> BatchCounts:
        """Return both together."""
        return BatchCounts(
            rows=self.rows + other.rows,
            scored=self.scored + other.scored,
            rejected=dict(Counter(self.rejected) + Counter(other.rejected)),
            seconds=self.seconds + other.seconds,
            sketches=(*self.sketches, *other.sketches),
        )

    @property
    def all_rejected(self) -> int:
        """Rows rejected for whatever reason."""
        return sum(self.rejected.values())

    @property
    def rate(self) -> float:
        """Rows a second while units were being scored."""
        return self.rows / self.seconds if self.seconds else 0.0

    def check(self, where: str) -> None:
        """Compare what went in with what came out.

        Raises:
            InvariantError: a row was lost or doubled.
        """
        if self.rows != self.scored + self.all_rejected:
            raise InvariantError(
                f"{self.rows} rows of {where} came in; {self.scored} scored and {self.all_rejected} rejected ones went"
                " out. Nothing is published. Did a file change meanwhile?"
            )

    def to_json(self) -> str:
        """Return the marker's text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BatchCounts:
        """Read the marker's text."""
        data = json.loads(text)
        return cls(**{**data, "sketches": tuple(data["sketches"])})
