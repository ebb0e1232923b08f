"""Following a rollout with a judge: what has come on the topics to a verdict, written when it says something new.

A judge that begins reads its topics from where the rollout began, so what it writes is a function of the topics alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import pyarrow as pa

from schemas.drift import SummaryRecord
from schemas.shadow_prediction import ShadowPrediction
from streaming.clock import Clock, instant
from streaming.judging.book import BookRules
from streaming.judging.judge import LedgerEvidence, RolloutJudge
from streaming.ledger.answered import LatestAnswered
from streaming.ledger.batch_times import LatestTimes
from streaming.outputs.read_back import Output
from streaming.rollout.history import Rollout, RolloutHistory
from streaming.rollout.states import JUDGED
from streaming.rollout.verdict import RolloutVerdict

REPEAT = timedelta(minutes=1)
"""A verdict that has not changed is written again so often, so that a silent judge can be told from a steady one."""
NEWS = timedelta(seconds=5)
"""Numbers that have changed are written so often at most."""


class JudgeTopics(Protocol):
    """The topics of a rollout; ``adapters/kafka/judging.py`` implements it.

    Each method yields what was not yielded before. Every one raises ``BrokerUnavailableError`` if there is no answer.
    """

    def begin(self, declared: datetime) -> None:
        """Go back to where a rollout that was declared then can have begun, on every topic but the ledger."""
        ...

    def whole_ledger(self) -> Iterable[Mapping[str, Any]]:
        """Yield the ledger's records that concern rollouts, to its present end and not less."""
        ...

    def fresh_ledger(self) -> Iterable[Mapping[str, Any]]:
        """Yield those of its records that are there at once."""
        ...

    def shadow(self) -> Iterable[tuple[bytes | None, ShadowPrediction]]:
        """Yield shadow records with their keys."""
        ...

    def labels(self, since: datetime) -> Iterator[pa.Table]:
        """Yield labels, at first those written from ``since`` on."""
        ...

    def letters(self) -> Iterable[tuple[bytes | None, Output]]:
        """Yield the application's dead letters with their keys."""
        ...

    def drift(self) -> Iterable[tuple[datetime, SummaryRecord]]:
        """Yield windows of the drift job with the times at which they were written."""
        ...

    def lag(self) -> Mapping[str, int]:
        """Return how many offsets of ``shadow``, ``dead letters``, ``labels`` and ``drift`` are still to be read."""
        ...

    def write(self, record: Mapping[str, Any]) -> None:
        """Append a record to the ledger."""
        ...


@dataclass(frozen=True)
class JudgeSubject:
    """Whose rollouts are judged, and how labels are waited for."""

    application: str
    rules: BookRules


class JudgeRounds:
    """Judges whatever rollout the ledger has at the moment."""

    def __init__(self, subject: JudgeSubject, topics: JudgeTopics, clock: Clock) -> None:
        self._subject = subject
        self._topics = topics
        self._clock = clock
        self._history = RolloutHistory(subject.application)
        self._answered = LatestAnswered()
        self._times = LatestTimes()
        self._judge: RolloutJudge | None = None
        self._first: datetime | None = None
        self._written: RolloutVerdict | None = None
        self._has_read = False
        self.latest: RolloutVerdict | None = None
        """What the last look found, written or not; ``None`` if no rollout is to be judged."""

    def lag(self) -> Mapping[str, int]:
        """Return how many offsets of ``shadow``, ``dead letters``, ``labels`` and ``drift`` are still to be read."""
        return self._topics.lag()

    def look(self) -> RolloutVerdict | None:
        """Read what has come; return the verdict if it was written, ``None`` if there is nothing new to say.

        Raises:
            ConfigurationError: the broker refuses us.
            BrokerUnavailableError: it does not answer. The next look reads everything again, so nothing is missed.
        """
        try:
            return self._looked()
        except BaseException:
            self._judge, self._has_read, self.latest = None, False, None
            raise

    def _looked(self) -> RolloutVerdict | None:
        self._read_ledger(self._topics.fresh_ledger() if self._has_read else self._topics.whole_ledger())
        self._has_read = True
        rollout = self._history.current
        if rollout is None or not _is_judged(rollout):
            self._judge, self.latest = None, None
            return None
        judge = self._judge_of(rollout)
        letters = list(self._topics.letters())
        earliest = judge.add_shadow(self._topics.shadow())
        self._first = min(filter(None, (self._first, earliest)), default=None)
        if self._first is not None:
            judge.add_labels(self._topics.labels(self._first))
        if letters:
            # A plan is written before its output, so the whole ledger has that of every letter.
            self._read_ledger(self._topics.whole_ledger())
        judge.add_letters(letters, self._answered.ranges())
        judge.add_drift(self._topics.drift())
        return self._write_news(judge)

    def _read_ledger(self, records: Iterable[Mapping[str, Any]]) -> None:
        for record in records:
            self._history = self._history.after(record)
            self._answered.add(record, self._history.current)
            self._times.add(record, self._history.current)

    def _judge_of(self, rollout: Rollout) -> RolloutJudge:
        if self._judge is None or self._judge.declaration.name != rollout.declaration.name:
            self._judge = RolloutJudge(rollout.declaration, self._subject.rules)
            self._first, self._written = None, rollout.verdict
            self._topics.begin(instant(rollout.declaration.at))
        return self._judge

    def _write_news(self, judge: RolloutJudge) -> RolloutVerdict | None:
        rollout = self._history.current
        if rollout is None or not _is_judged(rollout) or rollout.declaration.name != judge.declaration.name:
            self.latest = None
            return None
        self.latest = verdict = judge.verdict(rollout, self._clock(), self._evidence())
        if not is_news(rollout, self._written, verdict):
            return None
        self._topics.write(verdict.to_dict())
        self._written = verdict
        return verdict

    def _evidence(self) -> LedgerEvidence:
        return LedgerEvidence(self._answered.ranges(), self._times.steps())


def _is_judged(rollout: Rollout) -> bool:
    return rollout.state.phase in JUDGED


def is_news(rollout: Rollout, before: RolloutVerdict | None, verdict: RolloutVerdict) -> bool:
    """Return whether a verdict is to be written after the one before.

    It is if it is about another step or finds something else, and if a step has all its evidence now. Other numbers
    wait for :data:`NEWS`, and what is the same for :data:`REPEAT`.
    """
    if before is None or _findings(before) != _findings(verdict):
        return True
    passed = instant(verdict.at) - instant(before.at)
    if _numbers(before) == _numbers(verdict):
        return passed >= REPEAT
    return passed >= NEWS or _is_enough(rollout, before) != _is_enough(rollout, verdict)


def _findings(verdict: RolloutVerdict) -> tuple[Any, ...]:
    checks = {name: (check.finding, check.holds) for name, check in verdict.checks.items()}
    return verdict.rollout, verdict.weight_epoch, verdict.finding, checks


def _numbers(verdict: RolloutVerdict) -> tuple[Any, ...]:
    return verdict.checks, {name: gathered.count for name, gathered in verdict.evidence.items()}


def _is_enough(rollout: Rollout, verdict: RolloutVerdict) -> bool:
    step = rollout.state.asks(rollout.declaration.plan)
    needed = {} if step is None else step.evidence
    return all(gathered.count >= needed.get(name, 0) for name, gathered in verdict.evidence.items())
