"""The guard on errors: does a candidate err more often than the champion, by a key's first error?

It is exact, however often one looks. The arms have different keys, so errors and dead letters are counted and not
compared event by event. A key counts once: one key whose events all fail would pass for many errors. With bursts of 20
errors a key, a test of single errors at 0.01 called equal arms different in more than half of all runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from streaming.errors import ConfigurationError
from streaming.rollout.judge import HarmFinding
from streaming.statistics.arrays import Floats
from streaming.statistics.eprocess import RATIOS, evidence_of, is_enough, log_mean_evidence, log_ratio_terms


@dataclass
class FirstErrors:
    """Says which errors are the first of their key. ``keys`` are those that have erred; an event without a key is one.

    A key's events are on one partition, so partitions may be read apart and their keys united.
    """

    keys: set[bytes] = field(default_factory=set)

    def is_first(self, key: bytes) -> bool:
        """Take an error, in the order of its partition."""
        before = len(self.keys)
        self.keys.add(key)
        return len(self.keys) > before


@dataclass(frozen=True)
class ErrorSums:
    """First errors of each arm, and the evidence so far as a logarithm for each ratio of :data:`RATIOS`."""

    champion: int = 0
    candidate: int = 0
    log_evidence: Floats = field(default_factory=lambda: np.zeros(len(RATIOS)))

    def with_errors(self, *, champion: int, candidate: int, share: float) -> ErrorSums:
        """Return the sums with more first errors, all of them from while the candidate had ``share`` of the keys.

        Raises:
            ConfigurationError: the share is not between 0 and 1: then there is nothing to compare.
        """
        if not 0 < share < 1:
            raise ConfigurationError(f"errors of two arms need a candidate's share between 0 and 1, not {share:g}")
        candidates_term, champions_term = log_ratio_terms(share)
        more = candidate * candidates_term + champion * champions_term
        return ErrorSums(self.champion + champion, self.candidate + candidate, self.log_evidence + more)

    def merged(self, other: ErrorSums) -> ErrorSums:
        """Return the sums of both parts."""
        return ErrorSums(
            self.champion + other.champion, self.candidate + other.candidate, self.log_evidence + other.log_evidence
        )


def merged_errors(parts: Iterable[ErrorSums]) -> ErrorSums:
    """Return the sums of all parts, in whatever order they come."""
    whole = ErrorSums()
    for part in parts:
        whole = whole.merged(part)
    return whole


@dataclass(frozen=True)
class ErrorVerdict:
    """``log_evidence`` is harm from ``-log(alpha)`` on; ``no worse`` is never found, as errors alone cannot show it."""

    finding: HarmFinding
    log_evidence: float
    sentence: str


def judge_errors(sums: ErrorSums, alpha: float = 0.002) -> ErrorVerdict:
    """Judge the candidate by all first errors so far.

    Args:
        sums: of both arms.
        alpha: the chance that a candidate that errs as often as the champion is ever found harmful.
    """
    evidence = log_mean_evidence(sums.log_evidence)
    counts = f"{sums.candidate:,} of {sums.candidate + sums.champion:,} keys that erred are the candidate's"
    if is_enough(evidence, alpha):
        sentence = f"harm: {counts}, more than its share explains (evidence {evidence_of(evidence):.3g} to 1)"
        return ErrorVerdict(HarmFinding.HARM, evidence, sentence)
    needed = f"evidence {evidence_of(evidence):.3g} to 1 of {1 / alpha:,.0f} to 1"
    return ErrorVerdict(HarmFinding.NOT_TOLD, evidence, f"not told: {counts}, {needed}")
