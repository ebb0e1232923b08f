"""What the live engine is connected to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from streaming.clock import Clock
from streaming.engines.breaker import Breaker
from streaming.engines.failures import QueryObserver
from streaming.engines.generation import Generations
from streaming.engines.live_arms import LiveVersions
from streaming.engines.mend import Mend
from streaming.engines.report import BatchObserver
from streaming.failpoints import OFF, Failpoints
from streaming.ledger.arms import PlannedArms
from streaming.ledger.plan import Ledger
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.served import ServedModel


class Arrivals(Protocol):
    """Watches the outputs for those of some arms; ``adapters/kafka/arrivals.py`` implements it."""

    def reached(self, ends: Mapping[int, int]) -> bool:
        """Return whether outputs up to ``ends`` (exclusive) of each input partition have been seen."""
        ...

    def close(self) -> None:
        """Stop watching."""
        ...


class LiveObserver(BatchObserver, QueryObserver, Protocol):
    """Observer of handovers and lag, in addition to batches and queries."""

    def idle(self) -> None:
        """A boundary at which nothing had moved."""
        ...

    def handed_over(self, before: ModelVersion, now: ModelVersion, arms: str, seconds: float) -> None:
        """Another generation has taken over, after both ran for ``seconds``; ``arms`` names its versions."""
        ...

    def lag_measured(self, topic: str, lag: Mapping[int, int]) -> None:
        """At a boundary, so many records were on the topic and not yet read."""
        ...


@dataclass(frozen=True)
class LivePorts:
    """What the engine is connected to.

    ``roll_back`` puts a version on hold and serves the last good one, ``None`` where there is none. ``settle`` brings
    the marks in order and returns them; ``ends`` are the topic's; ``watch`` opens :class:`Arrivals` for the outputs of
    a plan's arms from now on.
    """

    generations: Generations
    versions: LiveVersions
    roll_back: Callable[[ModelKey, str], ServedModel | None]
    ledger: Ledger
    mend: Mend
    settle: Callable[[], Mapping[int, int]]
    ends: Callable[[], Mapping[int, int]]
    watch: Callable[[PlannedArms], Arrivals]
    observer: LiveObserver
    breaker: Breaker
    clock: Clock
    failpoints: Failpoints = OFF
