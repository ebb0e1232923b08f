"""What the exact engine is connected to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from streaming.clock import Clock
from streaming.delivery.marks import Mark
from streaming.engines.arms import ArmSource
from streaming.engines.breaker import Breaker
from streaming.engines.chain import NoChain
from streaming.engines.checkpoint import Checkpoint
from streaming.engines.lookups import LookupStates, NoLookups
from streaming.engines.program import BatchProgram
from streaming.engines.ramp import Ramp
from streaming.engines.report import BatchObserver
from streaming.ledger.plan import Ledger
from streaming.models.ref import ModelKey
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.offsets import Ranges
from streaming.scoring.default_score import DefaultScores


class Fallback(Protocol):
    """Versions that the slot does not serve; ``models/follower.py`` implements it."""

    def roll_back(self, failed: ModelKey, detail: str) -> ServedModel | None:
        """Serve the last good version from now on and return what serves; ``None`` without one."""
        ...

    def recall(self, key: ModelKey) -> ServedModel:
        """Load a version that a batch was planned with and that is not in the slot any more."""
        ...

    def earlier(self) -> ServedModel | None:
        """Load the version that served before the slot's, as the last run remembers it; the caller releases it."""
        ...

    def release(self, model: ServedModel) -> None:
        """Give a recalled version back."""
        ...


@dataclass(frozen=True)
class ExactPorts:
    """What the engine is connected to. ``first_offsets`` says where added partitions begin, ``marks`` what is done.

    ``recheck`` is given every batch that one version scored, and returns at once. ``chain`` is what answers
    when the champion cannot, and ``default_scores`` make the default scores of plans.
    """

    slot: Slot
    fallback: Fallback
    ledger: Ledger
    checkpoint: Checkpoint
    first_offsets: Callable[[list[int]], Mapping[int, int]]
    marks: Callable[[list[int]], Mapping[int, Mark | None]]
    observer: BatchObserver
    breaker: Breaker
    clock: Clock
    ramp: Ramp
    program: BatchProgram
    arms: ArmSource
    default_scores: DefaultScores
    recheck: Callable[[ModelKey, Ranges], None] = lambda _key, _ranges: None
    chain: NoChain = field(default_factory=NoChain)
    lookups: LookupStates = field(default_factory=NoLookups)


@dataclass(frozen=True)
class Tolerance:
    """The bounds above which a failing batch is the model's fault and not the rows'."""

    poison_rows: int
    failures: int
