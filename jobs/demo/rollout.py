"""``penstock demo-rollout``: a better version is rolled out by its labels, a bad one goes back and is repaired."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console

from jobs.configuration.load import load_settings
from jobs.configuration.paths import require_writable
from jobs.demo.display import Display
from jobs.demo.reading import OutputReader, corrected_places
from jobs.demo.rig import (
    DEAD_LETTERS,
    PREDICTIONS,
    TOPIC,
    Rig,
    fresh_folder,
    interrupted_once,
    make_rig,
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
from jobs.demo.rollout_watch import QUIET, RolloutWatch, Status
from jobs.demo.run import TRAINING
from jobs.process.logs import configure_logging
from jobs.verbs.rollout.options import RolloutRepairOptions
from jobs.verbs.rollout.repair import repaired_in
from jobs.wiring.jars import jars
from jobs.wiring.mlflow_client import prepare_mlflow
from jobs.wiring.session import session
from streaming.accounting.account import Account
from streaming.accounting.load import Publisher, SteadyLoad
from streaming.errors import InvariantError
from streaming.local.processes import ManagedProcess
from streaming.local.services import services
from streaming.settings import LogSettings
from streaming.training import flights

SUMMARY = Path("build/demo-rollout/summary.json")
UNTIL = datetime(2013, 8, 1, tzinfo=timezone.utc)
RATE, SLOW_RATE = 400, 100
"""Departures a second: a day in two seconds; and slower for the bad version, so that single events can be counted."""
BETTER = """\
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
BAD = """\
version: {version}
steps:
- share: 0.25
  evidence: {{labelled events: 2000}}
probation:
  evidence: {{labelled days: 10}}
"""
ROLLOUT_SECONDS = 240.0
SILENCE_SECONDS = 60.0


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
    require_writable(home, "--home")
    require_writable(SUMMARY.parent, "the folder of the summary")
    console = Console()
    configure_logging(LogSettings(level="error"))
    prepare_mlflow()
    sets = jars(home)
    folder = fresh_folder(home)
    threading.Thread(target=flights.departures, daemon=True).start()  # read while the services start
    with Display(console) as display, interrupted_once(display.say), ExitStack() as stack:
        display.say("starting Apache Kafka, an MLflow server and a Spark session")
        with ThreadPoolExecutor(1) as pool:
            opening = session(TRAINING, "penstock-train", folder / "train.log", sets.connector_jars)
            session_coming = pool.submit(stack.enter_context, opening)
            running = stack.enter_context(services(folder, sets.broker, os.environ))
        rig, spark = make_rig(folder, running), session_coming.result()
        add_labels(rig)
        results = RolloutStage(rig, spark, display).perform()
    SUMMARY.parent.mkdir(parents=True, exist_ok=True)
    SUMMARY.write_text(json.dumps(asdict(results), indent=2) + "\n", "utf-8")
    _show(results, console)
    if results.missing or results.duplicates or results.repaired != results.events_under_bad_version:
        raise InvariantError(
            f"{results.missing} events are missing, {results.duplicates} came twice, and {results.repaired} of"
            f" {results.events_under_bad_version} were repaired; look at {folder}"
        )


@dataclass
class RolloutStage:
    """One run: the processes, the stream, and what is read of it."""

    rig: Rig
    spark: SparkSession
    display: Display

    def __post_init__(self) -> None:
        servers = self.rig.services.bootstrap_servers
        self._loads = [SteadyLoad[None](servers, TOPIC, rate) for rate in (RATE, SLOW_RATE)]
        self._labels = Publisher(servers, LABELS)
        self._reading = OutputReader(servers, PREDICTIONS, DEAD_LETTERS)
        self._flights = departing(flights.between(SINCE, UNTIL), self._publish_label)
        self._processes: list[ManagedProcess] = []
        self._watch = RolloutWatch(self.rig, self.display, self._check)

    def perform(self) -> RolloutResults:
        """Train, stream, roll out twice, repair, and return what came of it."""
        self.display.say("training v1 on January, which is to serve at first")
        champion = train_champion(self.rig, self.spark)
        with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
            starting = pool.submit(stack.enter_context, scoring_job(self.rig))
            self.display.say("starting the scoring job; training v2 on January to March, v3 on weather in other units")
            versions = DemoVersions(champion, train_better(self.rig, self.spark), train_bad(self.rig, self.spark))
            self._processes = [*self.rig.services.processes, starting.result()]
            self._processes.append(stack.enter_context(beside_the_job(self.rig, "judge", ["rollout", "judge"])))
            reading = pool.submit(self._reading.follow)
            try:
                return self._rolled_out(versions, reading)
            finally:
                for load in self._loads:
                    load.halt()
                self._reading.abandon.set()

    def _rolled_out(self, versions: DemoVersions, reading: Future[None]) -> RolloutResults:
        promoted = self._better(versions)
        back = self._bad(versions)
        self._wait_for_the_rest()
        self._reading.stop.set()
        reading.result()
        under = [seen for seen in self._reading.predictions if seen.version == versions.bad]
        self.display.say(f"v{versions.bad} answered {len(under):,} events; scoring them again: penstock rollout repair")
        settings = load_settings(self.rig.config, QUIET)
        repaired_in(settings, RolloutRepairOptions(None, dry_run=False), lambda: nullcontext(self.spark))
        corrected = corrected_places(self.rig.services.bootstrap_servers, PREDICTIONS)
        published = [place for load in self._loads for place in load.delivered]
        account = Account.of(published, self._reading.places, self._reading.dead)
        return RolloutResults(
            promoted=promoted["phase"] == "promoted",
            rolled_back=back["phase"] == "rolled back",
            labelled_events_to_rollback=back["judge"]["checks"]["gross harm"]["count"],
            events_under_bad_version=len(under),
            repaired=len(corrected & {seen.position for seen in under}),
            missing=account.missing,
            duplicates=account.duplicates + account.unexpected,
            seconds=round(self.display.seconds, 1),
        )

    def _better(self, versions: DemoVersions) -> Status:
        with beside_the_job(self.rig, "shadow", ["shadow", "run"]) as shadow:
            self._processes.append(shadow)
            self.display.say(f"publishing departures at {RATE} events/s; rolling out v{versions.better}")
            self._loads[0].start(self._flights)
            self._watch.start(plan_file(self.rig, "better.yaml", BETTER.format(version=versions.better)))
            status = self._watch.until({"promoted"}, ROLLOUT_SECONDS)
            self._loads[0].stop()
            self._processes.remove(shadow)
        return status

    def _bad(self, versions: DemoVersions) -> Status:
        # All but a thousandth of the champion's keys are left out, so what is labelled is what the candidate answered.
        only_canary = ["shadow", "run", "--set", "shadow.share=0.001"]
        with beside_the_job(self.rig, "reverse shadow", only_canary) as shadow:
            self._processes.append(shadow)
            self.display.say(f"publishing departures at {SLOW_RATE} events/s; rolling out v{versions.bad}")
            self._loads[1].start(self._flights)
            self._watch.start(plan_file(self.rig, "bad.yaml", BAD.format(version=versions.bad)))
            status = self._watch.until({"rolled back"}, ROLLOUT_SECONDS)
            self._loads[1].stop()
            self._processes.remove(shadow)
        return status

    def _wait_for_the_rest(self) -> None:
        """Wait until as many results are read as events were published, or nothing has come for a minute."""
        sent, count, changed = sum(load.sent for load in self._loads), -1, time.monotonic()
        while self._reading.count < sent and time.monotonic() - changed < SILENCE_SECONDS:
            if self._reading.count != count:
                count, changed = self._reading.count, time.monotonic()
            self._check()
            time.sleep(0.1)

    def _publish_label(self, value: bytes, milliseconds: int) -> None:
        self._labels.send(value, timestamp=milliseconds)
        self._labels.serve()

    def _check(self) -> None:
        for process in self._processes:
            require_alive(process)
        sent = sum(load.sent for load in self._loads)
        self.display.counts(sent, self._reading.count, sent)


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
