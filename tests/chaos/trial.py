"""One seed from beginning to verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from streaming.accounting.check import Findings, LedgerHistory, ReadBack, check, skipped
from streaming.rollout.intervals import CANDIDATE
from tests.chaos.faults import strike
from tests.chaos.reader import Reader, aborted
from tests.chaos.rig import Rig
from tests.chaos.scene import Scene, Tally
from tests.chaos.schedule import Schedule
from tests.support.traffic import predicts


@dataclass(frozen=True)
class Verdict:
    """What a seed came to. ``failure`` says why it did not reach its end, if so; then nothing is proven by it."""

    seed: int
    story: str
    seconds: float
    tally: Tally
    events: int = 0
    skipped: int = 0
    aborted: int = 0
    candidates: int = 0
    """Predictions that the candidate of a rollout made."""
    findings: Findings = field(default_factory=Findings)
    failure: str = ""

    @property
    def clean(self) -> bool:
        """Whether everything is as promised."""
        return not self.failure and not self.findings.counts.total()


def run(rig: Rig, plan: Schedule, say: Callable[[str], None]) -> Verdict:
    """Run one seed: start, strike, drain, read back, check."""
    seed, since = plan.seed, time.monotonic()
    scene = Scene(rig, plan)
    story = "; ".join(map(str, plan.steps)) + ("; clock skew" if plan.skewed else "")
    try:
        with scene:
            _live(scene, say)
    except Exception as problem:  # one seed that breaks down must not hide what the others show
        failure = f"{type(problem).__name__}: {problem}"
        return Verdict(seed, story, time.monotonic() - since, scene.tally, failure=failure)
    say("reading back")
    evidence = _evidence(scene)
    ended = aborted(rig.data, [f"{scene.topic}.out", f"{scene.topic}.dlq"])
    return Verdict(
        seed,
        story,
        time.monotonic() - since,
        scene.tally,
        events=len(evidence.sent),
        skipped=len(skipped(evidence)),
        aborted=ended,
        candidates=sum(result.by.role == CANDIDATE for result in evidence.predictions),
        findings=check(evidence),
    )


def _live(scene: Scene, say: Callable[[str], None]) -> None:
    say("starting")
    scene.start_driver()
    scene.leader()
    if scene.plan.standby:
        standby = scene.start_driver()
        scene.wait_for(standby.stands_by, "the standby to be warm")
    scene.await_progress()
    for step in scene.plan.steps:
        say(str(step))
        strike(scene, step)
    say("draining")
    scene.finish()


def _evidence(scene: Scene) -> ReadBack:
    reader, topic = Reader(scene.rig.broker.address), scene.topic
    return ReadBack(
        # What was acknowledged and what is there: an event whose acknowledgement was lost is an event all the same.
        sent={**reader.events(topic), **scene.load.delivered},
        predictions=reader.results(f"{topic}.out"),
        dead_letters=reader.results(f"{topic}.dlq"),
        predicts=predicts,
        ledger=LedgerHistory(reader.ledger(f"{topic}.ledger")),
        removed=scene.removed,
    )
