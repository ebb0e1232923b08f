"""Who was to answer an event, by a plan of the ledger: worked out anew, and by none of the job's code.

The hash is that of ``schemas/contracts/rollout_assignment.json``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

_POINT_BYTES = 4


@dataclass(frozen=True)
class Answerer:
    """The version that answers, in which role, and in which step of which rollout; a ``role`` of "" is not known."""

    version: int
    role: str = ""
    rollout: str = ""
    weight_epoch: int | None = None

    @property
    def by_version(self) -> Answerer:
        """What a dead letter says of it."""
        return Answerer(self.version)


@dataclass(frozen=True)
class BatchArms:
    """A plan's arms: who answers the points from each first to before the next one, ascending. One arm has them all."""

    salt: str
    starts: tuple[int, ...]
    answerers: tuple[Answerer, ...]

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> BatchArms:
        """Read a plan's record, of one arm or several."""
        step = {"rollout": plan.get("rollout", ""), "weight_epoch": plan.get("weight_epoch")}
        if "arms" not in plan:
            return cls("", (0,), (Answerer(plan["version"], plan["role"], **step),))
        parts = {
            start: replace(Answerer(arm["version"], arm["role"]), **step)
            for arm in plan["arms"]
            for start, _ in arm["points"]
        }
        # An arm has several parts once shares have changed.
        starts = tuple(sorted(parts))
        return cls(plan["salt"], starts, tuple(parts[start] for start in starts))

    def answerer(self, identity: bytes) -> Answerer:
        """Return who answers the event with this key, or with this id where it has no key."""
        digest = hashlib.sha256(self.salt.encode() + b"\0" + identity).digest()
        point = int.from_bytes(digest[:_POINT_BYTES], "big")
        return [by for start, by in zip(self.starts, self.answerers, strict=True) if start <= point][-1]
