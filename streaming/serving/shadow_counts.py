"""How many answers of a server the other version of a rollout was to score, too, by what has become of them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

_OUTCOMES = ("written", "skipped", "dropped", "failed")


class ShadowCounts:
    """Implements :class:`streaming.serving.answer_log.AnswerCounts`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Make the metric, at zero."""
        self._counter = Counter(
            "penstock_shadowed_answers",
            "Answers of a rollout's step whose events the other version was to score, too.",
            ("outcome",),
            registry=registry,
        )
        for outcome in _OUTCOMES:
            self._counter.labels(outcome)

    def answers_logged(self, outcome: str, answers: int) -> None:
        """Count answers; ``skipped`` ones get no pair, such as those outside of ``shadow.share``."""
        self._counter.labels(outcome).inc(answers)

    def logged(self) -> dict[str, int]:
        """Return the counts by outcome."""
        samples = next(iter(self._counter.collect())).samples
        return {s.labels["outcome"]: int(s.value) for s in samples if s.name.endswith("_total")}
