"""What ``penstock rollout judge`` exports. Names are ``penstock_judge_*``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

from streaming.clock import Clock, instant

_FINDINGS = ("harm", "no worse", "not told")


class JudgeMetrics:
    """Keeps what the last look found, and counts looks and verdicts."""

    def __init__(self, clock: Clock) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        ProcessCollector(registry=self.registry)
        self._looks = Counter(
            "penstock_judge_looks", "Looks at the topics, by how they ended", ("result",), registry=self.registry
        )
        self._verdicts = Counter(
            "penstock_judge_verdicts", "Verdicts written to the ledger", ("finding",), registry=self.registry
        )
        self._looked_at = self._gauge("last_look_seconds", "When the last good look ended, seconds since 1970")
        self._written_at = self._gauge("last_verdict_seconds", "When the last verdict was written, seconds since 1970")
        self._seconds = self._gauge("look_seconds", "How long the last good look took")
        self._lag = self._gauge("lag_offsets", "Offsets of a topic that are still to be read", "topic")
        # A rollout that has ended must not keep its numbers, so all that is about one is cleared together.
        self._of_rollout = {
            "finding": self._gauge("finding", "1 for what all checks say together", "rollout", "finding"),
            "check": self._gauge("check_finding", "1 for what a check says", "rollout", "check", "finding"),
            "count": self._gauge(
                "check_count",
                "What a check has looked at: keys, events, days, hours, batches or windows",
                "rollout",
                "check",
            ),
            "dry_run": self._gauge("check_dry_run", "1 if a check is only shown", "rollout", "check"),
            "holds": self._gauge("check_holds", "1 if a check finds what holds the rollout", "rollout", "check"),
            "evidence": self._gauge("evidence", "Counted since the step began", "rollout", "what"),
        }

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def looked(self, seconds: float, lag: Mapping[str, int], verdict: Mapping[str, Any] | None) -> None:
        """Note a look that ended well.

        Args:
            seconds: how long it took.
            lag: offsets that are still to be read, by topic.
            verdict: what it found, as the ledger has it; ``None`` if no rollout is to be judged.
        """
        self._looks.labels("ok").inc()
        self._looked_at.set(self._clock().timestamp())
        self._seconds.set(seconds)
        for topic, offsets in lag.items():
            self._lag.labels(topic).set(offsets)
        for gauge in self._of_rollout.values():
            gauge.clear()
        if verdict is not None:
            self._show(verdict)

    def failed(self) -> None:
        """Note a look that failed."""
        self._looks.labels("failed").inc()

    def written(self, verdict: Mapping[str, Any]) -> None:
        """Note a verdict that is in the ledger."""
        self._verdicts.labels(verdict["finding"]).inc()
        self._written_at.set(instant(verdict["at"]).timestamp())

    def _show(self, verdict: Mapping[str, Any]) -> None:
        rollout, shown = verdict["rollout"], self._of_rollout
        _mark(shown["finding"], [rollout], verdict["finding"])
        for name, check in verdict["checks"].items():
            _mark(shown["check"], [rollout, name], check["finding"])
            shown["count"].labels(rollout, name).set(check["count"])
            shown["dry_run"].labels(rollout, name).set(check["dry_run"])
            shown["holds"].labels(rollout, name).set(check["holds"])
        for evidence, gathered in verdict["evidence"].items():
            shown["evidence"].labels(rollout, evidence).set(gathered["count"])

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"penstock_judge_{name}", text, labels, registry=self.registry)


def _mark(gauge: Gauge, labels: Iterable[str], finding: str) -> None:
    """Set the series of a finding to 1 and those of the others to 0."""
    for each in _FINDINGS:
        gauge.labels(*labels, each).set(each == finding)
