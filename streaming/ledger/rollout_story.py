"""One rollout as the ledger tells it: transitions, verdicts, where its batches began, what its candidate answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streaming.ledger.answered import AnsweredOffsets, AnsweredRange, of_candidate
from streaming.rollout.record_type import ROLLOUT_RECORD
from streaming.rollout.records import Declaration, RecordKind, Transition
from streaming.rollout.verdict import RolloutVerdict


class RolloutStory:
    """Takes one application's records, oldest first.

    Attributes:
        declaration: of the rollout.
        firsts: the first offset of each input partition that a batch of the rollout was planned with.
        verdicts: the judge's latest on each step, by the step's weight epoch.
    """

    def __init__(self, declaration: Declaration) -> None:
        """Begin with nothing."""
        self.declaration = declaration
        self.firsts: dict[int, int] = {}
        self.verdicts: dict[int, RolloutVerdict] = {}
        self._transitions: dict[int, Transition] = {}
        self._answered = AnsweredOffsets(of_candidate(declaration.name, declaration.candidate))

    def add(self, record: Mapping[str, Any]) -> None:
        """Take the next record; what is not about the rollout is passed over."""
        self._answered.add(record)
        if record.get("rollout") != self.declaration.name:
            return
        if record["type"] == "plan":
            for partition, (start, _) in record["ranges"].items():
                self.firsts.setdefault(int(partition), start)
        elif record["type"] == ROLLOUT_RECORD and record.get("kind") == RecordKind.TRANSITION:
            move = Transition.from_dict(record)
            # One that was written twice counts once.
            self._transitions.setdefault(move.number, move)
        elif record["type"] == ROLLOUT_RECORD and record.get("kind") == RecordKind.VERDICT:
            verdict = RolloutVerdict.from_dict(record)
            self.verdicts[verdict.weight_epoch] = verdict

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """The rollout's transitions in order."""
        return tuple(self._transitions[number] for number in sorted(self._transitions))

    @property
    def answered(self) -> tuple[AnsweredRange, ...]:
        """The offsets of which the candidate answered those of its arm."""
        return self._answered.ranges()

    @property
    def answered_live(self) -> bool:
        """True if the live engine has answered. The ranges of :attr:`answered` may then be too small."""
        return self._answered.is_live
