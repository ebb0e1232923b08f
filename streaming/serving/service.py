"""What the routes share: the version that serves, what scores by it, and what the server says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from schemas.dead_letter import Rejection
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.operations.admin import Access
from streaming.operations.health import HealthVerdict
from streaming.serving.admission import Admission
from streaming.serving.answer_log import AnswerLog
from streaming.serving.arms import EventAnswer
from streaming.serving.chain import ServedChain
from streaming.serving.feature_passes import RowAnswer
from streaming.serving.intake import Intake
from streaming.serving.lanes import Lane, Leases, Scored, no_model
from streaming.serving.looked_up import ServedTable
from streaming.serving.peers import Peers
from streaming.serving.rollout_arms import RolloutArms
from streaming.serving.server_metrics import ServerMetrics
from streaming.settings import EventSettings

_NO_MODEL = "no model version is loaded yet"


class EventLane(Protocol):
    """Scores events; :class:`streaming.serving.lanes.Lane` does, and one with a bound on its time."""

    async def score(self, values: Sequence[bytes], /) -> Scored[EventAnswer]:
        """Return the answers to events; raises ``ProblemError``, 503, as a lane does."""
        ...


@dataclass
class Readiness:
    """Says whether requests should come; set by the process's main thread. ``slot`` says what answers."""

    slot: Leases
    draining: bool = False
    table: ServedTable | None = None

    def verdict(self) -> HealthVerdict:
        """Return the answer to a probe."""
        reasons = (
            "the server is stopping" if self.draining else "",
            "" if self.slot.current() else _NO_MODEL,
            "" if self.table is None else self.table.problem(),
        )
        return HealthVerdict(tuple(filter(None, reasons)))


@dataclass(frozen=True)
class ScoringService:
    """One server.

    Attributes:
        thread: scores what is too much for the event loop; its owner shuts it down.
        events: scores events as a topic would carry them, to predictions as a topic would carry them.
        features: scores events that have the model's columns alone.
        envelope: names an event's fields beside the model's.
        wake: lets the follower ask the registry now; ``access`` says for whom.
        peers: the other processes of the server; ``None`` where it has one.
        rollout: says which arms answer; ``None`` where no rollout is followed.
        log: writes the answers to events somewhere; ``None`` where nobody wants that.
        shadow: has the other version of a rollout score the events, too; ``None`` where nobody wants that.
        table: has the columns that events are given; ``None`` where they have all.
        chain: answers events that the champion does not; ``None`` where nothing does.
    """

    slot: Slot
    readiness: Readiness
    metrics: ServerMetrics
    intake: Intake
    admission: Admission
    thread: ThreadPoolExecutor
    events: EventLane
    features: Lane[RowAnswer]
    envelope: EventSettings
    wake: Callable[[], None]
    access: Access
    peers: Peers | None = None
    audits: bool = False
    rollout: RolloutArms | None = None
    log: AnswerLog | None = None
    shadow: AnswerLog | None = None
    table: ServedTable | None = None
    chain: ServedChain | None = None

    def current(self) -> ServedModel:
        """Return the version that serves; raises ``ProblemError``, 503, if there is none."""
        model = self.slot.current()
        if model is None:
            raise no_model()
        return model

    async def score(self, events: Sequence[bytes]) -> Scored[EventAnswer]:
        """Return the answers to events, counted and, where that is wanted, on their way to the log.

        Raises:
            ProblemError: 503; no version is loaded, or the events waited for too long.
        """
        scored = await self.events.score(events)
        self._count(scored.answers)
        if self.chain is not None:
            self._count_degraded(scored.answers)
        if self.log is not None:
            self.log.add(events, scored.answers)
        if self.shadow is not None:
            self._shadow(self.shadow, events, scored.answers)
        return scored

    def _shadow(self, shadow: AnswerLog, events: Sequence[bytes], answers: Sequence[EventAnswer]) -> None:
        """Have the answers paired that are of a rollout: without one there are none, and a degraded one is of none."""
        paired = [
            (event, answer) for event, answer in zip(events, answers, strict=True) if answer.arm.weights is not None
        ]
        if paired:
            shadow.add([event for event, _ in paired], [answer for _, answer in paired])

    def _count_degraded(self, answers: Iterable[EventAnswer]) -> None:
        for answer in answers:
            if answer.arm.degraded is not None and not isinstance(answer.value, Rejection):
                self.metrics.degraded(answer.arm.degraded.reason, 1)

    async def score_rows(self, rows: Sequence[bytes]) -> Scored[RowAnswer]:
        """Return the answers to rows of the model's columns, counted.

        Raises:
            ProblemError: 503, as :meth:`score`.
        """
        scored = await self.features.score(rows)
        self._count(scored.answers)
        return scored

    def _count(self, answers: Sequence[EventAnswer] | Sequence[RowAnswer]) -> None:
        """Count the answers of a request, and what was looked up for them."""
        predictions = 0
        for answer in answers:
            if isinstance(answer.value, Rejection):
                self.metrics.event_rejected(answer.value.reason)
            else:
                predictions += 1
        self.metrics.events_scored(predictions)
        if self.table is not None:
            self.metrics.looked_up((answer.looked_up for answer in answers), self.table.counts())
