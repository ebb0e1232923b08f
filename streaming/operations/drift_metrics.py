"""What the drift job exports. Names are ``penstock_drift_*``."""

from __future__ import annotations

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, start_http_server

from schemas.drift import State, SummaryRecord

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_STATES = [state.value for state in State]


class DriftMetrics:
    """Counts windows and rows, and keeps each column's last state and effect."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        version, column = ("version",), ("version", "column")
        self._windows = self._counter("windows", "Windows closed", *version, "state")
        self._rows = self._counter("rows", "Predictions counted in closed windows", *version)
        self._invalid = self._counter("invalid_rows", "Dead letters counted in closed windows", *version)
        self._late = self._counter("late_rows", "Rows that came after their window was closed")
        self._failures = self._counter("query_failures", "Times the query failed and was started again")
        self._open = self._gauge("open_rows", "Rows in windows that are not closed yet")
        self._cells = self._gauge("state_cells", "Counts that are kept for open windows")
        self._state = self._gauge(
            "column_state", ", ".join(f"{number} {state}" for number, state in enumerate(_STATES)), *column
        )
        self._effect = self._gauge("column_effect", "Stability index of the last window, noise taken off", *column)

    def serve(self, host: str, port: int) -> None:
        """Answer ``/metrics``; raises ``OSError`` if the port is taken."""
        start_http_server(port, host, self.registry)

    def counted(self, open_rows: int, cells: int) -> None:
        """Note what is open after a batch."""
        self._open.set(open_rows)
        self._cells.set(cells)

    def closed(self, summary: SummaryRecord) -> None:
        """Note a window."""
        version = str(summary.window.version)
        self._windows.labels(version, summary.state).inc()
        self._rows.labels(version).inc(summary.rows)
        self._invalid.labels(version).inc(summary.invalid)
        self._late.inc(summary.late)
        for column in summary.columns:
            self._state.labels(version, column.name).set(_STATES.index(column.state))
            self._effect.labels(version, column.name).set(column.effect)

    def query_failed(self, problem: str, pause: float) -> None:
        """Note that the query is started again after ``pause`` seconds, and log why."""
        _log.warning("drift query failed, starting again", problem=problem, seconds=pause)
        self._failures.inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"penstock_drift_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"penstock_drift_{name}", text, labels, registry=self.registry)
