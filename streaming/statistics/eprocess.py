"""Evidence that grows: e-processes, which exceed 1/alpha with chance alpha at most, however often one looks.

They are products over events, kept as sums of logarithms: parts in any order add up to the same evidence. A rollout may
look after each event, stop at any, and change its shares meanwhile.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from streaming.statistics.arrays import Floats

RATIOS: Floats = np.geomspace(1.05, 50.0, 24)
"""Alternatives: the candidate errs so many times as often as the champion. The evidence is the mean over them."""

_MOST_EXPONENT = 700.0


def log_ratio_terms(share: float) -> tuple[Floats, Floats]:
    """Return what one error adds to each ratio's logarithm: an error of the candidate, and one of the champion.

    If both arms err equally often, an error is the candidate's with the chance that is its share of the keys, whatever
    the common rate does. If it errs r times as often, with chance share r / (share r + 1 - share) (Lindon and Malek,
    *Anytime-valid inference for multinomial count data*, NeurIPS 2022).

    Args:
        share: the candidate's share when the error occurred, between 0 and 1.
    """
    whole = share * RATIOS + 1 - share
    return np.log(RATIOS / whole), -np.log(whole)


def is_enough(log_evidence: float, alpha: float) -> bool:
    """Return whether evidence, given its logarithm, reaches 1/alpha, which it does with chance alpha at most."""
    return log_evidence >= -math.log(alpha)


def evidence_of(log_evidence: float) -> float:
    """Return evidence given its logarithm, or the largest power of e that a number holds.

    >>> evidence_of(0.0), evidence_of(1e6) < math.inf
    (1.0, True)
    """
    return math.exp(min(log_evidence, _MOST_EXPONENT))


def log_mean_evidence(log_sums: Floats) -> float:
    """Return the logarithm of the mean of several alternatives' evidence, given their logarithms."""
    return float(special.logsumexp(log_sums) - math.log(len(log_sums)))


def log_sign_evidence(against: int, for_it: int) -> float:
    """Return the logarithm of the evidence that disagreements go against the candidate more often than for it.

    It is the sign test in sequence: the chance that a disagreement goes against it is taken as uniform on 1/2 to 1.

    >>> round(log_sign_evidence(0, 0), 12), log_sign_evidence(10, 0) > math.log(100) > log_sign_evidence(5, 5)
    (0.0, True)

    Args:
        against: how often the champion alone was right.
        for_it: how often the candidate alone was.
    """
    beyond_half = special.betainc(1 + for_it, 1 + against, 0.5)
    if beyond_half <= 0:
        return -math.inf
    return float(special.betaln(1 + against, 1 + for_it) + (against + for_it + 1) * math.log(2) + math.log(beyond_half))
