"""One rollout's judge: it takes what is on the topics, and says what all checks make of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from schemas.drift import SummaryRecord
from schemas.shadow_prediction import ShadowPrediction
from streaming.clock import isoformat
from streaming.judging.book import BookRules, BookSums, PairBook
from streaming.judging.drift import DriftBook
from streaming.judging.errors import ErrorBook
from streaming.judging.pairs import JudgedPair, pair_of, pair_tables
from streaming.judging.shifts import ShiftBook, ShiftsByHour
from streaming.ledger.answered import AnsweredRange
from streaming.outputs.read_back import Output
from streaming.rollout.checks import ALPHA, JudgeRules, RolloutCheck
from streaming.rollout.drift import PairedWindow, judge_drift
from streaming.rollout.error_guard import ErrorVerdict, judge_errors
from streaming.rollout.evidence import Gathered
from streaming.rollout.gross_harm import GrossRules, judge_gross
from streaming.rollout.history import Rollout
from streaming.rollout.judge import HarmFinding, judge
from streaming.rollout.latency import StepTimes, judge_latency
from streaming.rollout.records import Declaration
from streaming.rollout.score_shift import ShiftRules, judge_shift
from streaming.rollout.sign_guard import SignVerdict, judge_disagreements
from streaming.rollout.verdict import CheckFinding, RolloutVerdict, taken_together
from streaming.statistics.eprocess import evidence_of


class RolloutJudge:
    """Takes the records of one rollout, each topic's in their order, and forgets no key that has erred."""

    def __init__(self, declaration: Declaration, rules: BookRules) -> None:
        """Begin with nothing."""
        self.declaration = declaration
        self._book = PairBook(rules)
        self._errors = ErrorBook(declaration.candidate)
        self._shifts = ShiftBook(declaration.plan)
        self._drift = DriftBook(declaration.application, declaration.candidate)

    def add_shadow(self, records: Iterable[tuple[bytes | None, ShadowPrediction]]) -> datetime | None:
        """Take shadow records with their keys; return the earliest event time of those that are of this rollout."""
        earliest = None
        for table in pair_tables(self._pairs(records)):
            self._book.add_pairs(table)
            self._shifts.add(table)
            first = pc.min(table["event_time"]).as_py()
            earliest = min(earliest or first, first)
        return earliest

    def _pairs(self, records: Iterable[tuple[bytes | None, ShadowPrediction]]) -> Iterator[JudgedPair]:
        """Yield the rollout's own pairs, and count what failed on them."""
        mine = self.declaration.application, self.declaration.name
        for key, record in records:
            pair = pair_of(record, key, self.declaration.candidate)
            # Applications may share a shadow topic, and a rollout may follow another one on it.
            if pair is not None and (record.application, record.rollout) == mine:
                self._errors.add_pair(pair)
                yield pair

    def add_labels(self, labels: Iterable[pa.Table]) -> None:
        """Take labels."""
        for table in labels:
            self._book.add_labels(table)

    def add_letters(self, letters: Iterable[tuple[bytes | None, Output]], answered: Sequence[AnsweredRange]) -> None:
        """Take dead letters with their keys; ``answered`` are the candidate's offsets, theirs among them."""
        for key, letter in letters:
            self._errors.add_letter(letter, key, answered)

    def add_drift(self, summaries: Iterable[tuple[datetime, SummaryRecord]]) -> None:
        """Take the drift job's windows with the times at which they were written."""
        self._drift.add(summaries)

    def verdict(self, rollout: Rollout, now: datetime, ledger: LedgerEvidence) -> RolloutVerdict:
        """Return what all that was taken says of the rollout's present step; if it is harm, with what was answered."""
        sums, epoch = self._book.sums(), rollout.latest.weights.epoch
        shifts = self._shifts.shifts(self._book.passed)
        evidence = JudgedEvidence(
            errors=self._errors,
            sums=sums,
            shifts=shifts,
            times=ledger.times,
            windows=self._drift.pairs(rollout.latest.champion),
        )
        checks = findings(evidence, rollout.declaration.plan.rules)
        finding, why = taken_together(checks)
        passed = now - rollout.state.since.clock
        counts = {
            "labelled events": sums.labelled_events[epoch],
            "labelled days": sums.labelled_days[epoch],
            "drift windows": self._drift.windows_since(rollout.state.since.clock),
        }
        return RolloutVerdict(
            rollout=self.declaration.name,
            application=self.declaration.application,
            weight_epoch=epoch,
            finding=finding,
            why=why if self._book.one_in == 1 else f"{why} (one of {self._book.one_in} events was looked at)",
            checks={check.value: each for check, each in checks.items()},
            evidence={name: Gathered.over(passed, count) for name, count in counts.items()},
            answered=tuple(part.judged() for part in ledger.answered) if finding is HarmFinding.HARM else (),
            at=isoformat(now),
        )


@dataclass(frozen=True)
class LedgerEvidence:
    """What the ledger alone tells of a rollout: what the candidate has answered, and both versions' times by step."""

    answered: Sequence[AnsweredRange] = ()
    times: Sequence[StepTimes] = ()


@dataclass(frozen=True)
class JudgedEvidence:
    """The sums that the checks look at."""

    errors: ErrorBook
    sums: BookSums
    shifts: ShiftsByHour
    times: Sequence[StepTimes]
    windows: Sequence[PairedWindow]


def findings(evidence: JudgedEvidence, rules: JudgeRules) -> dict[RolloutCheck, CheckFinding]:
    """Return what each check says."""
    checks = {
        RolloutCheck.ERRORS: _errors(evidence.errors),
        RolloutCheck.DEAD_LETTERS: _dead_letters(evidence.errors),
        RolloutCheck.GROSS_HARM: _gross_harm(evidence.sums, rules),
        RolloutCheck.DAYS: _days(evidence.sums, rules),
        RolloutCheck.SCORE_SHIFT: _score_shift(evidence.shifts, rules),
        RolloutCheck.LATENCY: _latency(evidence.times, rules),
        RolloutCheck.DRIFT: _drift(evidence.windows, rules),
    }
    return {check: replace(finding, dry_run=check in rules.dry_run) for check, finding in checks.items()}


def _errors(errors: ErrorBook) -> CheckFinding:
    counts, alpha = errors.disagreements, ALPHA[RolloutCheck.ERRORS]
    return _by_evidence(judge_disagreements(counts, alpha), counts.champion_wrong + counts.candidate_wrong, alpha)


def _dead_letters(errors: ErrorBook) -> CheckFinding:
    sums, alpha = errors.letters, ALPHA[RolloutCheck.DEAD_LETTERS]
    return _by_evidence(judge_errors(sums, alpha), sums.champion + sums.candidate, alpha)


def _by_evidence(verdict: SignVerdict | ErrorVerdict, count: int, alpha: float) -> CheckFinding:
    return CheckFinding(verdict.finding, count, _evidence(verdict.log_evidence, alpha), verdict.sentence)


def _evidence(log_evidence: float, alpha: float) -> dict[str, float | None]:
    return {"evidence": evidence_of(log_evidence), "needed": 1 / alpha}


def _gross_harm(sums: BookSums, rules: JudgeRules) -> CheckFinding:
    alpha = ALPHA[RolloutCheck.GROSS_HARM]
    verdict = judge_gross(sums.losses, GrossRules(alpha=alpha, block_deviation=rules.day_deviation))
    numbers = {"difference": verdict.difference, "low": verdict.low, "margin": verdict.margin}
    return CheckFinding(verdict.finding, verdict.events, _finite(numbers), verdict.sentence)


def _days(sums: BookSums, rules: JudgeRules) -> CheckFinding:
    verdict = judge(sums.days, rules.days)
    numbers = {"difference": verdict.difference, "low": verdict.low, "high": verdict.high, "tolerated": rules.tolerated}
    return CheckFinding(verdict.finding, verdict.days, _finite(numbers), verdict.sentence)


def _score_shift(shifts: ShiftsByHour, rules: JudgeRules) -> CheckFinding:
    alpha = ALPHA[RolloutCheck.SCORE_SHIFT]
    expected = ShiftRules(alpha, expected=rules.expected_shift, tolerated=rules.tolerated_shift)
    verdict = judge_shift(shifts.before, shifts.since, expected)
    numbers = {"shift": verdict.shift, "expected": verdict.expected, "margin": verdict.margin}
    evidence = {**_finite(numbers), "outside": verdict.outside, **_evidence(verdict.log_evidence, alpha)}
    return CheckFinding(verdict.finding, verdict.hours, evidence, verdict.sentence)


def _latency(steps: Sequence[StepTimes], rules: JudgeRules) -> CheckFinding:
    alpha = ALPHA[RolloutCheck.LATENCY]
    verdict = judge_latency(steps, rules.tolerated_slowdown, alpha)
    numbers = {"ratio": verdict.ratio, "tolerated": rules.tolerated_slowdown}
    evidence = {**_finite(numbers), "slower": verdict.slower, **_evidence(verdict.log_evidence, alpha)}
    return CheckFinding(verdict.finding, verdict.batches, evidence, verdict.sentence)


def _drift(windows: Sequence[PairedWindow], rules: JudgeRules) -> CheckFinding:
    verdict = judge_drift(windows, rules.tolerated_drift)
    gap = verdict.largest
    numbers = {
        "candidate": gap.candidate if gap else None,
        "champion": gap.champion if gap else None,
        "tolerated": rules.tolerated_drift,
    }
    return CheckFinding(
        finding=verdict.finding,
        count=verdict.windows,
        numbers=numbers,
        sentence=verdict.sentence,
        holds=verdict.holds,
    )


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Return the numbers with ``None`` for what is not defined, which JSON does not have."""
    return {name: number if math.isfinite(number) else None for name, number in numbers.items()}
