"""One rollout as the ledger tells it afterwards: its transitions in order, and where its batches began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from streaming.rollout.records import ROLLOUT_RECORD, RecordKind, Transition


@dataclass(frozen=True)
class RolloutStory:
    """``firsts`` has the first offset of each input partition that a batch of the rollout was planned with."""

    transitions: tuple[Transition, ...]
    firsts: Mapping[int, int]

    @classmethod
    def of(cls, rollout: str, records: Iterable[Mapping[str, Any]]) -> RolloutStory:
        """Read one application's records, oldest first. A transition that was written twice counts once."""
        transitions: dict[int, Transition] = {}
        firsts: dict[int, int] = {}
        for record in records:
            if record.get("rollout") != rollout:
                continue
            if record["type"] == "plan":
                for partition, (start, _) in record["ranges"].items():
                    firsts.setdefault(int(partition), start)
            elif record["type"] == ROLLOUT_RECORD and record.get("kind") == RecordKind.TRANSITION:
                move = Transition.from_dict(record)
                transitions.setdefault(move.number, move)
        return cls(tuple(transitions[number] for number in sorted(transitions)), firsts)
