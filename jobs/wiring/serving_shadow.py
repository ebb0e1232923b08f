"""How a server lets the other version of a rollout score its requests' events, put together from the settings."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime

from jobs.wiring.serving_log import STOP_SECONDS
from jobs.wiring.serving_rollout import TWO_DAYS
from jobs.wiring.shadow import pairing_rules
from streaming.adapters.kafka.ledger_tail import LedgerTail
from streaming.adapters.kafka.served_pairs import KafkaPairs, pairs_target
from streaming.clock import system_clock
from streaming.models.rollout_versions import CheckedVersions
from streaming.serving.answer_log import AnswerLog
from streaming.serving.passes import EventPasses
from streaming.serving.shadow_answers import PairCounter, RequestEvents, ShadowAnswers
from streaming.serving.shadow_counts import ShadowCounts
from streaming.settings import Settings
from streaming.shadow.rounds import ShadowRounds
from streaming.shadow.versions import ShadowVersions


@dataclass(frozen=True)
class ServedShadow:
    """Opens the shadow of a server's answers; ``since`` is from when on the ledger is read."""

    settings: Settings
    passes: EventPasses
    versions: CheckedVersions
    counts: ShadowCounts
    since: datetime

    def __call__(self) -> ShadowAnswers:
        """Return it; raises as :func:`streaming.adapters.kafka.served_pairs.pairs_target`."""
        settings, events = self.settings, RequestEvents()
        own = settings.served_application
        to = pairs_target(settings.kafka, settings.output, settings.shadow_topic, own)
        counter = PairCounter(KafkaPairs(settings.kafka, own, to, self.counts), self.counts)
        tail = LedgerTail(settings.kafka, settings.output.ledger, settings.application, self.since)
        rounds = ShadowRounds(
            application=settings.application,
            topic=self.passes.source,
            rules=pairing_rules(settings),
            ledger=tail.to_end,
            versions=ShadowVersions(self.versions.load, self.versions.release),
            events=events,
            sink=counter,
            observer=counter,
            clock=system_clock,
        )
        return ShadowAnswers(
            rounds=rounds, events=events, counter=counter, envelope=settings.event, numbers=self.passes.numbers
        )


def shadow_log(
    settings: Settings, passes: EventPasses, versions: CheckedVersions, counts: ShadowCounts, stack: ExitStack
) -> AnswerLog:
    """Return what pairs answers until ``stack`` ends.

    Raises:
        ConfigurationError: the pairs cannot be written by these settings.
    """
    serve = settings.serve
    opened = ServedShadow(
        settings=settings, passes=passes, versions=versions, counts=counts, since=system_clock() - TWO_DAYS
    )
    log = AnswerLog(opened, counts, serve.log_max_bytes, name="shadow")
    log.start()
    stack.callback(log.stop, serve.timeout_seconds + STOP_SECONDS)
    return log
