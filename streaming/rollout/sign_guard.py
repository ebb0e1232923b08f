"""An exact sign test in sequence: is a candidate wrong more often than the champion on the same events?

Only events on which one of the two is right and the other wrong, or one fails and the other does not, say something.
The test takes them as independent; events of a day are alike, so it is for errors in shadow, and not for quality.
"""

from __future__ import annotations

from dataclasses import dataclass

from streaming.rollout.judge import HarmFinding
from streaming.statistics.eprocess import is_enough, log_sign_evidence


@dataclass(frozen=True)
class DisagreementCounts:
    """On how many events each version alone was wrong."""

    champion_wrong: int = 0
    candidate_wrong: int = 0

    def merged(self, other: DisagreementCounts) -> DisagreementCounts:
        """Return the counts of both parts."""
        return DisagreementCounts(
            self.champion_wrong + other.champion_wrong, self.candidate_wrong + other.candidate_wrong
        )


@dataclass(frozen=True)
class SignVerdict:
    """``log_evidence`` is harm from ``-log(alpha)`` on."""

    finding: HarmFinding
    log_evidence: float
    sentence: str


def judge_disagreements(counts: DisagreementCounts, alpha: float = 0.002) -> SignVerdict:
    """Judge the candidate by the events on which one version alone was wrong.

    Args:
        counts: of all such events so far.
        alpha: the chance that a candidate that is wrong as often as the champion is ever found harmful.
    """
    evidence = log_sign_evidence(counts.candidate_wrong, counts.champion_wrong)
    finding = HarmFinding.HARM if is_enough(evidence, alpha) else HarmFinding.NOT_TOLD
    sentence = (
        f"{finding.value}: the candidate alone was wrong on {counts.candidate_wrong:,} events, the champion alone on"
        f" {counts.champion_wrong:,}"
    )
    return SignVerdict(finding, evidence, sentence)
