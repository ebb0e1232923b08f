"""What the follower exports: the last mature window of each version, and nothing of a window before."""

from __future__ import annotations

import math

from streaming.operations.quality_metrics import QualityMetrics
from tests.support.labels import label, of_day, predicted


def test_a_metric_that_is_no_longer_defined_does_not_keep_its_value() -> None:
    metrics, who = QualityMetrics(), {"version": "1", "role": "champion"}
    events = [predicted(0, 1.0, [0.2, 0.8]), predicted(1, 0.0, [0.7, 0.3])]
    metrics.closed(of_day(events, [label(0, "1"), label(1, "0")]), 86_400.0)
    auc = {**who, "metric": "auc"}
    assert metrics.registry.get_sample_value("penstock_quality_metric", auc) == 1.0
    metrics.closed(of_day(events, [label(0, "1")]), 172_800.0)
    undefined = metrics.registry.get_sample_value("penstock_quality_metric", auc)
    assert undefined is not None
    assert math.isnan(undefined)
    names = ("windows_total", "events", "labelled", "window_end_seconds")
    values = [metrics.registry.get_sample_value(f"penstock_quality_{name}", who) for name in names]
    assert values == [2.0, 2.0, 1.0, 172_800.0]
