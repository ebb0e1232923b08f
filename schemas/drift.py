"""What stands on the ``drift`` topic: a record for each statistic of each column and window, and one for the window.

The same contracts for subscribers in any language: ``contracts/drift_statistic.json`` and ``drift_summary.json``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from schemas.drift_v1 import movement_of_cause
from schemas.movement import Movement

STATISTIC_TYPE = "penstock.drift.statistic.v1"
SUMMARY_TYPE = "penstock.drift.summary.v2"
SUMMARY_TYPES = ("penstock.drift.summary.v1", SUMMARY_TYPE)
"""Every version of the summary that is on topics; the newest is written and all are read."""
INVALID = "invalid"
"""The pseudo-column of the rows that became dead letters."""


class Statistic(str, Enum):
    """What is measured between a column's reference and its window."""

    PSI = "psi"
    KOLMOGOROV_SMIRNOV = "kolmogorov_smirnov"
    JENSEN_SHANNON = "jensen_shannon"
    WASSERSTEIN = "wasserstein"
    CHI_SQUARE = "chi_square"
    HELLINGER = "hellinger"
    LEVEL_SHIFT = "level_shift"
    MEAN_SHIFT = "mean_shift"
    MEDIAN_SHIFT = "median_shift"
    UPPER_SHIFT = "upper_shift"
    NULL_RATE = "null_rate"
    NON_FINITE_RATE = "non_finite_rate"
    UNSEEN_RATE = "unseen_rate"
    INVALID_RATE = "invalid_rate"


class State(str, Enum):
    """The state of a column in a window, from the best to the worst. A window's state is the worst of its columns'."""

    INSUFFICIENT = "insufficient"
    """Too few rows to say anything, or no reference to compare with."""
    STABLE = "stable"
    WARNING = "warning"
    """The column has moved in this window, but not yet in as many windows running as drift needs."""
    DRIFT = "drift"


@dataclass(frozen=True)
class Window:
    """Which window of which version; times are RFC 3339 in UTC with milliseconds, the end is not in it."""

    application: str
    model: str
    version: int
    start: str
    end: str

    @property
    def id(self) -> str:
        """An id that is the same each time that the window is sent."""
        return f"{self.application}:{self.model}:{self.version}:{self.start}:{self.end}"

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Window:
        """Read the window of a record as JSON has it; raises ``KeyError`` if it is not there."""
        names = ("application", "model", "version", "start", "end")
        return cls(**{name: data[name] for name in names})


@dataclass(frozen=True)
class StatisticRecord:
    """One statistic of one column.

    ``n`` and ``m`` are the rows of reference and window. ``threshold`` is the value that chance alone exceeds with the
    window's probability of a false alarm, shared out over its columns; ``p_value`` the chance of so large a value when
    nothing has moved; both None where the statistic has no law. ``state`` is the column's, ``cause`` why, in words.
    """

    window: Window
    column: str
    statistic: Statistic
    n: int
    m: int
    value: float | None
    threshold: float | None
    p_value: float | None
    state: str
    cause: str

    @property
    def id(self) -> str:
        """The record's id; a statistic that is sent again has the same one."""
        return f"{self.window.id}:{self.column}:{self.statistic.value}"

    def to_json(self) -> str:
        """Return the record's value."""
        own = {"column": self.column, "statistic": self.statistic.value, "n": self.n, "m": self.m, "value": self.value}
        result = {"threshold": self.threshold, "p_value": self.p_value, "state": self.state, "cause": self.cause}
        return _line({"type": STATISTIC_TYPE, "id": self.id, **asdict(self.window), **own, **result})


@dataclass(frozen=True)
class ColumnSummary:
    """One column in the window's summary.

    ``movement`` is None where this very window has not moved, and ``cause`` says the same in words, for people.
    ``p_value`` is adjusted for the number of columns. ``effect`` is on the stability index's scale without its noise,
    ``severity`` its word, ``since`` the start of the first window of the running signal, ``counts`` bin id to rows.
    """

    name: str
    state: str
    severity: str
    test: str
    p_value: float
    effect: float
    cause: str
    n: int
    m: int
    since: str | None
    counts: dict[str, int]
    movement: Movement | None

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ColumnSummary:
        """Read a column as JSON has it; that of a record of version 1 says what moved in words alone."""
        if "movement" not in data:
            return cls(**data, movement=movement_of_cause(data["cause"]))
        movement = data["movement"]
        return cls(**{**data, "movement": None if movement is None else Movement.from_dict(movement)})


@dataclass(frozen=True)
class SummaryRecord:
    """One window of one version: its state is the worst of its columns'.

    ``invalid`` rows became dead letters; ``late`` rows came after the window was closed, since the summary before.
    ``closed_by`` is ``watermark``, ``idle`` or ``end``. ``moved`` names the columns that signal, the first mover first.
    """

    window: Window
    state: str
    rows: int
    invalid: int
    late: int
    closed_by: str
    moved: tuple[str, ...]
    cause: str
    columns: tuple[ColumnSummary, ...]

    def to_json(self) -> str:
        """Return the record's value."""
        body = {key: value for key, value in asdict(self).items() if key != "window"}
        return _line({"type": SUMMARY_TYPE, "id": self.window.id, **asdict(self.window), **body})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SummaryRecord:
        """Read a value as JSON has it; raises ``KeyError`` or ``TypeError`` if it is not a summary."""
        columns = tuple(ColumnSummary.from_dict(column) for column in data["columns"])
        names = ("state", "rows", "invalid", "late", "closed_by")
        own = {name: data[name] for name in names}
        return cls(Window.from_dict(data), **own, moved=tuple(data["moved"]), cause=data["cause"], columns=columns)


def read_summary(value: bytes | None) -> SummaryRecord | None:
    """Read a value of the topic; ``None`` for what is no summary of a window."""
    # Most records are single statistics, and are passed over without being read.
    if value is None or not any(type_.encode() in value for type_ in SUMMARY_TYPES):
        return None
    try:
        record = json.loads(value)
        return SummaryRecord.from_dict(record) if record["type"] in SUMMARY_TYPES else None
    # Anybody who may write to the topic may have written anything.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
