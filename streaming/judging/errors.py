"""Errors of a rollout, each counted once a key: on the same events, and as dead letters of either arm's keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streaming.judging.pairs import JudgedPair
from streaming.ledger.answered import AnsweredRange
from streaming.models.ref import ModelKey
from streaming.outputs.read_back import Output
from streaming.rollout.error_guard import ErrorSums, FirstErrors
from streaming.rollout.intervals import POINTS
from streaming.rollout.sign_guard import DisagreementCounts


@dataclass
class ErrorBook:
    """Takes pairs and dead letters in the order of their partitions; each key's events are on one."""

    candidate: ModelKey
    disagreements: DisagreementCounts = field(default_factory=DisagreementCounts)
    letters: ErrorSums = field(default_factory=ErrorSums)
    _disagreed: FirstErrors = field(default_factory=FirstErrors)
    _died: FirstErrors = field(default_factory=FirstErrors)

    def add_pair(self, pair: JudgedPair) -> None:
        """Take an event that both versions were given; it says something if one alone failed on it."""
        champion, candidate = pair.failed
        if champion != candidate and self._disagreed.is_first(pair.identity):
            self.disagreements = self.disagreements.merged(
                DisagreementCounts(champion_wrong=int(champion), candidate_wrong=int(candidate))
            )

    def add_letter(self, letter: Output, key: bytes | None, ranges: Sequence[AnsweredRange]) -> None:
        """Take a dead letter; it says something if it was written while both arms had keys.

        Args:
            letter: as it stands on its topic.
            key: its event's, ``None`` if it has none.
            ranges: the offsets of which the candidate answered its arm's.
        """
        share = _share(letter, ranges)
        # An event without a key is a key of its own.
        identity = b"%d:%d" % letter.source[1:] if key is None else key
        if share is None or not self._died.is_first(identity):
            return
        is_candidates = letter.version == self.candidate.version
        self.letters = self.letters.with_errors(
            champion=int(not is_candidates), candidate=int(is_candidates), share=share
        )


def _share(letter: Output, ranges: Sequence[AnsweredRange]) -> float | None:
    """Return the candidate's share of the keys when the event was answered; ``None`` if one arm had them all."""
    topic, partition, offset = letter.source
    for part in ranges:
        if (part.topic, part.partition) == (topic, partition) and part.offsets.start <= offset < part.offsets.end:
            share = 1.0 if part.assignment is None else part.assignment.intervals.points(part.role) / POINTS
            return share if 0 < share < 1 else None
    return None
