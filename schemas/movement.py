"""How a column has moved, as numbers: what a drift summary says of a column, and what every sentence is made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shares:
    """The shares of the rows that one cell has on either side, from 0 to 1; dead letters have no reference."""

    reference: float | None
    window: float


@dataclass(frozen=True)
class Movement:
    """How a column has moved in one window.

    ``test`` is the one that found most. ``direction`` is 1 up or more, -1 down or fewer; for ``beyond``, 1 above and -1
    below the reference's values. ``size`` is never negative: for ``level`` in the reference's standard deviations, else
    the difference of the ``shares``, which ``level`` has none of. Those of ``shape`` are of ``bin``, the bin that
    differs most, by the name that people read; those of ``beyond`` are of the values, all others of all rows.
    """

    test: str
    direction: int
    size: float
    shares: Shares | None = None
    bin: str | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Movement:
        """Read a movement as JSON has it; raises ``KeyError`` or ``TypeError`` for anything else."""
        shares = data["shares"]
        return cls(**{**data, "shares": None if shares is None else Shares(**shares)})


def moved_share(test: str, shares: Shares, name: str | None = None) -> Movement:
    """Return the movement from one share to another, as the test of this name found it."""
    difference = shares.window - (shares.reference or 0.0)
    return Movement(test=test, direction=-1 if difference < 0 else 1, size=abs(difference), shares=shares, bin=name)
