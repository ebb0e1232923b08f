"""What a shadow exports and says: pairs by version and role, what it could not answer, and what has no pair."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from jobs.verbs.shadow.display import show_shadow
from jobs.wiring.shadow import ShadowNews, shadow_run
from schemas.shadow_prediction import PairedAnswer, ShadowPrediction, ShadowRole
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.operations.shadow_metrics import ShadowMetrics
from streaming.settings import Settings
from streaming.shadow.pairing import SkipReason
from streaming.testing import FakeRegistry

TIME = "2013-07-01T05:15:00.000Z"


def pair(reason: str | None = None) -> ShadowPrediction:
    return ShadowPrediction(
        prediction_id="flights:champion:features:0:1",
        event_id="e",
        event_time=TIME,
        source_topic="features",
        source_partition=0,
        source_offset=1,
        application="penstock",
        rollout="flights-8",
        weight_epoch=1,
        role=ShadowRole.SHADOW,
        scored_at=TIME,
        served=PairedAnswer("flights", 7, 0.0),
        shadow=PairedAnswer("flights", 8, reason=reason) if reason else PairedAnswer("flights", 8, 1.0),
    )


def test_pairs_errors_and_what_is_passed_over_are_counted_and_the_first_of_a_kind_is_said() -> None:
    news = ShadowNews(ShadowMetrics())
    with capture_logs() as logs:
        for each in (pair(), pair("SCORING_FAILED"), pair()):
            news.paired(each)
        for reason in (SkipReason.LAG, SkipReason.LAG, SkipReason.SHARE):
            news.skipped(reason, 2)
        news.lag(4.5)
    sample, who = news.metrics.registry.get_sample_value, {"model": "flights", "version": "8", "role": "shadow"}
    assert sample("penstock_shadow_events_total", who) == 3
    assert sample("penstock_shadow_errors_total", {**who, "reason": "SCORING_FAILED"}) == 1
    assert sample("penstock_shadow_skipped_total", {"reason": "too old"}) == 4
    assert sample("penstock_shadow_lag_seconds") == 4.5
    # What is outside the share was asked for, and so is no news.
    assert [(log["event"], log["reason"]) for log in logs] == [("shadow_skips", "too old")]
    assert news.summary() == {"pairs": {"8 shadow": 3}, "skipped": {"too old": 4, "outside the share": 2}}


def test_a_shadow_that_shall_score_by_spark_does_not_start() -> None:
    settings = Settings.model_validate({"model": {"scorer": "spark"}})
    with (
        pytest.raises(ConfigurationError, match="penstock shadow run scores without Spark"),
        shadow_run(settings, FakeRegistry(), system_clock),
    ):
        pass


def test_people_see_who_scored_what_and_who_was_refused(capsys: pytest.CaptureFixture[str]) -> None:
    refused = {"flights/8": "Foo_1 (Foo) has no compiled form"}
    show_shadow({"pairs": {"7 reverse shadow": 1200}, "skipped": {"too old": 3}, "refused": refused})
    shown = capsys.readouterr().out
    for text in ("paired by version 7 reverse shadow", "1,200", "not paired: too old", "flights/8 was refused: Foo_1"):
        assert text in shown
    show_shadow({"pairs": {}, "skipped": {}, "refused": {}})
    assert "No prediction of a rollout" in capsys.readouterr().out
