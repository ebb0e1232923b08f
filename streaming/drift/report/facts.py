"""The report's data: versions, their windows, and each column's way through them."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.drift import State
from schemas.movement import Movement
from streaming.drift.states import Severity

DEAD_LETTERS = "dead letters"
"""What people call the pseudo-column of invalid rows."""


@dataclass(frozen=True)
class WindowFacts:
    """One window. Times are RFC 3339 and the end is not in it; ``after_gap``: the one before ends before it begins."""

    start: str
    end: str
    state: State
    rows: int
    invalid: int
    late: int
    closed_by: str
    moved: tuple[str, ...]
    after_gap: bool


@dataclass(frozen=True)
class Point:
    """A column in the window at ``place``; ``effect`` is a stability index without noise, ``m`` the window's rows.

    ``movement`` is None where this very window has not moved, and ``cause`` is the same in the record's words.
    """

    place: int
    state: State
    severity: Severity
    effect: float
    p_value: float
    m: int
    cause: str
    since: str | None
    movement: Movement | None


@dataclass(frozen=True)
class Spell:
    """A stretch of windows in drift: since when it signalled, and the end of the last window that was in drift."""

    since: str
    until: str


@dataclass(frozen=True)
class BinShares:
    """One bin's shares of the rows: in the reference, in the last window, in the one that differs most."""

    name: str
    reference: float
    now: float
    worst: float


@dataclass(frozen=True)
class ColumnReport:
    """One column. ``points`` has an entry for each window, None where it was not looked at.

    ``now`` is the last window with enough rows to say something, ``worst`` the one with the largest effect, None where
    no window had enough. ``spells`` are the drifts, the running one included. Without a profile there are no ``bins``.
    """

    name: str
    points: tuple[Point | None, ...]
    now: Point | None
    worst: Point | None
    spells: tuple[Spell, ...]
    bins: tuple[BinShares, ...]
    sentence: str = ""

    @property
    def state(self) -> State:
        """What is said of it now."""
        return self.now.state if self.now else State.INSUFFICIENT

    @property
    def moves(self) -> bool:
        """True if the column is away from the reference now."""
        return self.state in (State.WARNING, State.DRIFT)

    @property
    def effect(self) -> float:
        """How large its present movement is."""
        return self.now.effect if self.now else 0.0

    @property
    def since(self) -> str:
        """The time at which the column's present movement began; empty without one."""
        return (self.now.since or "") if self.now else ""

    @property
    def has_moved(self) -> bool:
        """True if the column moves now, or was in drift before."""
        return self.moves or bool(self.spells)


@dataclass(frozen=True)
class ReportAnswer:
    """What people want to know first: a few words, a sentence, and what to keep in mind."""

    state: State
    words: str
    sentence: str
    but: tuple[str, ...] = ()


@dataclass(frozen=True)
class VersionReport:
    """One model version: its windows in order, its columns with those that move most first.

    ``moved`` names the columns that move now, in the order in which they began. ``reference_rows`` is 0 without a
    profile, ``left_out`` the number of older windows that are not in the report.
    """

    version: int
    windows: tuple[WindowFacts, ...]
    columns: tuple[ColumnReport, ...]
    moved: tuple[str, ...]
    reference_rows: int
    left_out: int
    answer: ReportAnswer

    @property
    def judged(self) -> int:
        """The place of the last window that had enough rows to say something, else of the last one."""
        places = [column.now.place for column in self.columns if column.now]
        return max(places, default=len(self.windows) - 1)

    def column(self, name: str) -> ColumnReport:
        """Return the column of this name; raises ``StopIteration`` if it is missing."""
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True)
class Report:
    """All versions that have windows, the one with the newest window first."""

    application: str
    model: str
    versions: tuple[VersionReport, ...]
