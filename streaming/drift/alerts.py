"""Drift alerts: a version that gets worse or recovers, a column whose drift begins or ends."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import structlog

from schemas.drift import INVALID, ColumnSummary, State, SummaryRecord
from schemas.drift_alert import DriftAlert
from streaming.drift.report.sentences import listed, title, what_moved
from streaming.drift.states import Severity
from streaming.sinks import Sink, deliver

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_MOST_TOLD = 3
_SEVERITIES = [severity.value for severity in Severity]


@dataclass(frozen=True)
class ReportedState:
    """What people know of a version: which columns drift, and which had a warning."""

    drifting: frozenset[str] = frozenset()
    warned: frozenset[str] = frozenset()

    @property
    def state(self) -> State:
        """The version's, as they know it."""
        return State.DRIFT if self.drifting else State.WARNING if self.warned else State.STABLE

    @classmethod
    def by(cls, alert: DriftAlert) -> ReportedState:
        """Return what an alert reported."""
        return cls(frozenset(alert.drifting), frozenset(alert.warned))

    def after(self, summary: SummaryRecord) -> ReportedState:
        """Return what there is to know after a window; a column with too few rows is as it was."""
        drifting, warned = (
            frozenset(
                column.name
                for column in summary.columns
                if column.state == state.value or (column.state == State.INSUFFICIENT.value and column.name in before)
            )
            for state, before in ((State.DRIFT, self.drifting), (State.WARNING, self.warned))
        )
        return ReportedState(drifting, warned)


def decide(reported: ReportedState, summary: SummaryRecord) -> DriftAlert | None:
    """Return the alert that a window calls for, None if it is no news.

    It is news when a column's drift begins or ends, or the version's state differs from the reported one.
    """
    now = reported.after(summary)
    entered, recovered = now.drifting - reported.drifting, reported.drifting - now.drifting
    # A drift that lasts is no news, however many windows it lasts.
    if not entered and not recovered and now.state is reported.state:
        return None
    news = _News(summary, _ordered(entered, summary), tuple(sorted(recovered)), _ordered(now.warned, summary))
    return DriftAlert(
        summary.window,
        state=now.state.value,
        before=reported.state.value,
        entered=news.entered,
        left=news.recovered,
        drifting=_ordered(now.drifting, summary),
        warned=news.warned,
        severity=_largest(summary, now.drifting | now.warned),
        sentence=news.sentence(now),
    )


def _ordered(names: Iterable[str], summary: SummaryRecord) -> tuple[str, ...]:
    """Return names with the first mover first."""
    order = {name: rank for rank, name in enumerate(summary.moved)}
    return tuple(sorted(names, key=lambda name: (order.get(name, len(order)), name)))


def _largest(summary: SummaryRecord, names: Container[str]) -> str:
    severities = (column.severity for column in summary.columns if column.name in names)
    return max(severities, key=_SEVERITIES.index, default=Severity.NEGLIGIBLE.value)


@dataclass(frozen=True)
class _News:
    summary: SummaryRecord
    entered: tuple[str, ...]
    recovered: tuple[str, ...]
    warned: tuple[str, ...]

    def sentence(self, now: ReportedState) -> str:
        window = self.summary.window
        version = f"{window.model} v{window.version}"
        parts = []
        if self.entered:
            parts.append(f"{version} drifts: {self._causes(self.entered)}")
        if self.recovered:
            names = listed([title(name) for name in self.recovered])
            parts.append(f"drift is over in {names}" if parts else f"{version}: drift is over in {names}")
        if not self.entered and now.state is State.WARNING:
            parts.append(f"{'' if parts else f'{version} may be drifting: '}{self._causes(self.warned)}")
        if now.state is State.STABLE:
            parts.append("all columns match the reference" if parts else f"{version} matches the reference again")
        return "; ".join(parts)

    def _causes(self, names: Sequence[str]) -> str:
        columns = {column.name: column for column in self.summary.columns}
        causes = [_cause(columns[name]) for name in names[:_MOST_TOLD]]
        unnamed = len(names) - _MOST_TOLD
        return listed([*causes, f"{unnamed} more columns"] if unnamed > 0 else causes)


def _cause(column: ColumnSummary) -> str:
    size, name = f" ({column.severity})" if column.name != INVALID else "", title(column.name)
    if column.state == State.INSUFFICIENT.value:
        return f"{name}: {column.cause}{size}"
    return what_moved(name, column.movement) + size


class Alerts:
    """Sends each alert once to the log and the listeners. Not for several threads at once."""

    def __init__(self, sinks: Sequence[Sink[DriftAlert]], sent: Iterable[DriftAlert] = ()) -> None:
        """Continue after the alerts that were ``sent`` before, oldest first. They are not sent again."""
        self._sinks = sinks
        self._reported = {alert.window.version: ReportedState.by(alert) for alert in sent}

    def __call__(self, summary: SummaryRecord) -> None:
        """Look at a window that was closed; those of a version come in order."""
        version = summary.window.version
        reported = self._reported.get(version, ReportedState())
        alert = decide(reported, summary)
        self._reported[version] = ReportedState.by(alert) if alert else reported
        if alert is None:
            return
        log = _log.info if alert.state == State.STABLE.value else _log.warning
        log("drift alert", **{name: value for name, value in alert.to_dict().items() if name not in ("type", "id")})
        deliver(alert, self._sinks)
