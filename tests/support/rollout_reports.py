"""A report on a made-up rollout of flights: two versions with probabilities, labels, a shadow, and its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from streaming.clock import instant, isoformat
from streaming.models.ref import ModelKey
from streaming.quality.tables import LABELS, by_id, tables
from streaming.quality.windows import QualityWindow
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.checks import JudgeRules
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE, CHAMPION
from streaming.rollout.judge import HarmFinding
from streaming.rollout.plan import RolloutPlan, RolloutStep
from streaming.rollout.records import Declaration, Transition, Weights
from streaming.rollout.states import RolloutPhase, RolloutState, RolloutTime
from streaming.rollout.verdict import CheckFinding, RolloutVerdict
from streaming.rollout_report.answers import ANSWERS, PairedSides
from streaming.rollout_report.report import ReportSubject, RolloutReport, StepRecords, rollout_report

START = instant("2013-06-01T00:00:00Z")
HORIZON = timedelta(days=1)
_SALT = "flights-8"


@dataclass
class MadeUpRollout:
    """``worse`` is added to the candidate's scores' noise; the first half of the days has 5 %, the second 25 %."""

    days: int = 30
    events: int = 200
    worse: float = 0.0
    shadow: bool = True
    unlabelled: float = 0.05
    now: datetime | None = None
    reached: datetime | None = None
    rules: JudgeRules = field(default_factory=JudgeRules)
    answers: list[dict[str, Any]] = field(default_factory=list)
    sides: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {CHAMPION: [], CANDIDATE: []})
    labels: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[QualityWindow, datetime]] = field(default_factory=list)
    """The windows of which labels were read, and until when."""

    def __post_init__(self) -> None:
        random = np.random.default_rng(8)
        five = ALL_CHAMPION.changed_to({CANDIDATE: 0.05})
        self.weights = [Weights(1, five), Weights(2, five.changed_to({CANDIDATE: 0.25}))]
        for day in range(self.days):
            self._day(day, random)

    def _day(self, day: int, random: np.random.Generator) -> None:
        weights = self.weights[day >= self.days // 2]
        assignment = ArmAssignment(_SALT, weights.intervals)
        log_odds = random.normal(-1.0 + random.normal(0, 0.4), 1.0, self.events)
        happened = random.random(self.events) < 1 / (1 + np.exp(-log_odds))
        noise = random.normal(0, 0.2, (2, self.events)) + np.array([[0.0], [self.worse]]) * random.choice(
            [-1, 1], self.events
        )
        for event in range(self.events):
            number, key = day * self.events + event, b"N%d" % random.integers(4_000)
            when = START + timedelta(days=day, seconds=event * 86_400 / self.events)
            arm = assignment.arm_of(key, "")
            both = {
                name: self._answer(number, key, when, name, float(log_odds[event] + noise[side, event]))
                for side, name in enumerate((CHAMPION, CANDIDATE))
            }
            for answer in both.values():
                answer["weight_epoch"] = weights.epoch
            self.answers.append(both[arm])
            if self.shadow:
                for name, answer in both.items():
                    self.sides[name].append(answer)
            if random.random() >= self.unlabelled:
                known_at = when + timedelta(hours=float(random.exponential(4)))
                label = {"identity": by_id(f"e{number}"), "label": str(int(happened[event])), "known": known_at}
                self.labels.append({**label, "offset": number})

    def _answer(self, number: int, key: bytes, when: datetime, arm: str, log_odds: float) -> dict[str, Any]:
        chance = float(1 / (1 + np.exp(-log_odds)))
        return {
            "prediction_id": f"flights:{arm}:features:0:{number}",
            "event_id": f"e{number}",
            "key": key,
            "event_time": when,
            "prediction": float(chance > 0.5),
            "probability": [1 - chance, chance],
            "version": 8 if arm == CANDIDATE else 7,
            "role": arm,
            "partition": 0,
            "offset": number,
        }

    @property
    def declaration(self) -> Declaration:
        steps = tuple(RolloutStep(share, {"labelled days": 10}) for share in (0.05, 0.25))
        probation = RolloutStep(1.0, {"labelled days": 20})
        return Declaration(
            name="flights-8",
            application="penstock",
            candidate=ModelKey("flights", 8),
            salt=_SALT,
            plan=RolloutPlan(steps, probation=probation, rules=self.rules),
            at=isoformat(START),
        )

    @property
    def transitions(self) -> list[Transition]:
        """The steps, each when its first day began, and a pause."""
        middle = START + timedelta(days=self.days // 2)
        whens = ((START, 0, "started by order"), (middle, 1, "the judge found it no worse"))
        moves = [
            Transition(
                declaration=self.declaration,
                number=number,
                orders=0,
                state=RolloutState(RolloutPhase.STEP, step, RolloutTime(when, when), why),
                weights=self.weights[step],
                champion=7,
                at=isoformat(when),
            )
            for number, (when, step, why) in enumerate(whens, 1)
        ]
        paused = replace(moves[-1].state, why="held: paused by order", paused=True)
        return [*moves, replace(moves[-1], number=3, state=paused)]

    @property
    def verdicts(self) -> list[RolloutVerdict]:
        """One on each step: the first found no worse by its days, the second harmful by its errors."""
        return [self._verdict(0, HarmFinding.NO_WORSE, "days"), self._verdict(1, HarmFinding.HARM, "errors")]

    def _verdict(self, step: int, finding: HarmFinding, check: str) -> RolloutVerdict:
        says = f"{finding.value}: {check} of step {step + 1} said so"
        checks = {
            check: CheckFinding(finding, 1_234, {"low": 0.5, "high": None}, says),
            "drift": CheckFinding(HarmFinding.NOT_TOLD, 3, {}, "not told: 3 windows", dry_run=True),
        }
        return RolloutVerdict(
            rollout=self.declaration.name,
            application=self.declaration.application,
            weight_epoch=self.weights[step].epoch,
            finding=finding,
            why=f"{check}: said so",
            checks=checks,
            evidence={},
            at=isoformat(START + timedelta(days=step)),
        )

    def label_source(self) -> Callable[[QualityWindow, datetime], Iterable[pa.Table]]:
        table = pa.concat_tables([LABELS.empty_table(), *tables(self.labels, LABELS)])

        def read(window: QualityWindow, until: datetime) -> Iterable[pa.Table]:
            self.asked.append((window, until))
            return [table]

        return read

    def table(self, rows: list[dict[str, Any]]) -> pa.Table:
        return pa.concat_tables([ANSWERS.empty_table(), *tables(rows, ANSWERS)]).unify_dictionaries()

    def report(self) -> RolloutReport:
        now = self.now or START + timedelta(days=self.days) + HORIZON + timedelta(days=5)
        sides = PairedSides(*(self.table(rows) for rows in self.sides.values())) if self.shadow else None
        subject = ReportSubject(self.declaration, HORIZON, now, reached=self.reached)
        steps = StepRecords(self.transitions, self.verdicts)
        return rollout_report(subject, steps, self.table(self.answers), sides, self.label_source())
