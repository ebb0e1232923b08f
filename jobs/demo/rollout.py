"""``penstock demo-rollout``: a better version is rolled out by its labels, a bad one goes back and is repaired."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console

from jobs.configuration.load import load_settings
from jobs.demo.reading import OutputReader, corrected_places
from jobs.demo.rig import (
    DEAD_LETTERS,
    PREDICTIONS,
    TOPIC,
    require_alive,
    scoring_job,
)
from jobs.demo.rollout_rig import (
    LABELS,
    SINCE,
    DemoVersions,
    add_labels,
    beside_the_job,
    plan_file,
    train_bad,
    train_better,
    train_champion,
)
from jobs.demo.rollout_stream import departing
from jobs.demo.rollout_watch import QUIET, RolloutWatch
from jobs.demo.stage import DemoStage, demo_stage
from jobs.verbs.rollout.options import RolloutRepairOptions
from jobs.verbs.rollout.repair import repaired_in
from jobs.verbs.rollout.status import Status
from streaming.accounting.account import Account
from streaming.accounting.load import Publisher, SteadyLoad
from streaming.errors import InvariantError
from streaming.local.processes import ManagedProcess
from streaming.training import flights

SUMMARY = Path("build/demo-rollout/summary.json")
UNTIL = datetime(2013, 8, 1, tzinfo=timezone.utc)
BETTER_PLAN = """\
version: {version}
steps:
- share: 0
  evidence: {{labelled days: 10}}
- share: 0.25
  evidence: {{labelled events: 300}}
probation:
  evidence: {{labelled days: 2}}
tolerated: 0.03
"""
BAD_PLAN = """\
version: {version}
steps:
- share: 0.25
  evidence: {{labelled events: 2000}}
probation:
  evidence: {{labelled days: 10}}
"""
ROLLOUT_SECONDS = 240.0


@dataclass(frozen=True)
class Act:
    """One rollout of the demonstration.

    Attributes:
        shadow: the name of the process that pairs, with the further ``options`` of it.
        rate: departures a second; a day takes two seconds at 400.
        plan: the declaration, without the version.
        end: the phase in which it must end.
    """

    shadow: str
    rate: int
    plan: str
    end: str
    options: tuple[str, ...] = ()


BETTER = Act("shadow", 400, BETTER_PLAN, "promoted")
# Slower, so that single events can be counted. All but a thousandth of the champion's keys are left out of the shadow:
# what is labelled is what the candidate answered.
BAD = Act("reverse shadow", 100, BAD_PLAN, "rolled back", ("--set", "shadow.share=0.001"))


@dataclass(frozen=True)
class RolloutResults:
    """What the demonstration is about; ``missing`` and ``duplicates`` are of what the job answered."""

    promoted: bool
    rolled_back: bool
    labelled_events_to_rollback: int
    events_under_bad_version: int
    repaired: int
    missing: int
    duplicates: int
    seconds: float


def demo_rollout(home: Path) -> None:
    """Run the demonstration below ``home``; some three minutes on two free processors, after the downloads.

    Raises:
        InvariantError: an event was lost, came out twice, or was not repaired.
        PenstockError: a service or a process failed, or a rollout did not end as it should.
    """
    console = Console()
    with demo_stage(home, SUMMARY.parent, console) as stage:
        add_labels(stage.rig)
        results = RolloutActs(stage).perform()
    SUMMARY.parent.mkdir(parents=True, exist_ok=True)
    SUMMARY.write_text(json.dumps(asdict(results), indent=2) + "\n", "utf-8")
    _show(results, console)
    if results.missing or results.duplicates or results.repaired != results.events_under_bad_version:
        raise InvariantError(
            f"{results.missing} events are missing, {results.duplicates} came twice, and {results.repaired} of"
            f" {results.events_under_bad_version} were repaired; look at {stage.rig.folder}"
        )


class RolloutActs:
    """One run: the processes, the stream, and what is read of it."""

    def __init__(self, stage: DemoStage) -> None:
        """Prepare both streams; nothing is published yet."""
        self._rig, self._spark, self._display = stage.rig, stage.spark, stage.display
        servers = self._rig.services.bootstrap_servers
        self._loads = {act.rate: SteadyLoad[None](servers, TOPIC, act.rate) for act in (BETTER, BAD)}
        self._labels = Publisher(servers, LABELS)
        self._reading = OutputReader(servers, PREDICTIONS, DEAD_LETTERS)
        self._flights = departing(flights.between(SINCE, UNTIL), self._publish_label)
        self._processes: list[ManagedProcess] = []
        self._watch = RolloutWatch(self._rig, self._display, self._check)

    def perform(self) -> RolloutResults:
        """Train, stream, roll out twice, repair, and return what came of it."""
        self._display.say("training v1 on January, which is to serve at first")
        champion = train_champion(self._rig, self._spark)
        with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
            starting = pool.submit(stack.enter_context, scoring_job(self._rig))
            self._display.say("starting the scoring job; training v2 on January to March, v3 on weather in other units")
            versions = DemoVersions(champion, train_better(self._rig, self._spark), train_bad(self._rig, self._spark))
            self._processes = [*self._rig.services.processes, starting.result()]
            self._processes.append(stack.enter_context(beside_the_job(self._rig, "judge", ["rollout", "judge"])))
            reading = pool.submit(self._reading.follow)
            try:
                return self._rolled_out(versions, reading)
            finally:
                for load in self._loads.values():
                    load.halt()
                self._reading.abandon.set()

    def _rolled_out(self, versions: DemoVersions, reading: Future[None]) -> RolloutResults:
        promoted = self._act(BETTER, versions.better)
        back = self._act(BAD, versions.bad)
        self._reading.wait_for(self._sent, self._look)
        self._reading.stop.set()
        reading.result()
        under = [seen for seen in self._reading.predictions if seen.version == versions.bad]
        self._display.say(
            f"v{versions.bad} answered {len(under):,} events; scoring them again: penstock rollout repair"
        )
        settings = load_settings(self._rig.config, QUIET)
        repaired_in(settings, RolloutRepairOptions(None, dry_run=False), lambda: nullcontext(self._spark))
        corrected = corrected_places(self._rig.services.bootstrap_servers, PREDICTIONS)
        published = [place for load in self._loads.values() for place in load.delivered]
        account = Account.of(published, self._reading.places, self._reading.dead)
        return RolloutResults(
            promoted=promoted["phase"] == "promoted",
            rolled_back=back["phase"] == "rolled back",
            labelled_events_to_rollback=back["judge"]["checks"]["gross harm"]["count"],
            events_under_bad_version=len(under),
            repaired=len(corrected & {seen.position for seen in under}),
            missing=account.missing,
            duplicates=account.duplicates + account.unexpected,
            seconds=round(self._display.seconds, 1),
        )

    def _act(self, act: Act, version: int) -> Status:
        load = self._loads[act.rate]
        with beside_the_job(self._rig, act.shadow, ["shadow", "run", *act.options]) as shadow:
            self._processes.append(shadow)
            self._display.say(f"publishing departures at {act.rate} events/s; rolling out v{version}")
            load.start(self._flights)
            self._watch.start(plan_file(self._rig, f"v{version}.yaml", act.plan.format(version=version)))
            status = self._watch.until({act.end}, ROLLOUT_SECONDS)
            load.stop()
            self._processes.remove(shadow)
        return status

    def _publish_label(self, value: bytes, milliseconds: int) -> None:
        self._labels.send(value, timestamp=milliseconds)
        self._labels.serve()

    @property
    def _sent(self) -> int:
        return sum(load.sent for load in self._loads.values())

    def _look(self) -> None:
        self._check()
        time.sleep(0.1)

    def _check(self) -> None:
        for process in self._processes:
            require_alive(process)
        self._display.counts(self._sent, self._reading.count, self._sent)


def _show(results: RolloutResults, console: Console) -> None:
    labelled, under = results.labelled_events_to_rollback, results.events_under_bad_version
    console.print()
    console.rule("What happened")
    for text in (
        "The better version became the champion by its labels.",
        f"The bad one went back after {labelled:,} labelled events.",
        f"It had answered {under:,} events, of which {results.repaired:,} are repaired.",
        f"Missing {results.missing}, duplicates {results.duplicates}, in {results.seconds:.0f} s.",
        f"The numbers are in {SUMMARY}.",
    ):
        console.print(text, highlight=False)
