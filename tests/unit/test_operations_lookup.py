"""What becomes of lookups is in the metrics, at /readyz and in the log."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from streaming.models.slot import Slot
from streaming.operations.health import Health
from streaming.operations.lookup_news import LookupNews
from streaming.operations.metrics import Metrics
from streaming.testing import ManualClock
from tests.unit.test_operations_metrics import Batch, Rows


@dataclass
class Desk:
    """The news, and readers for where they go."""

    metrics: Metrics = field(default_factory=lambda: Metrics(ManualClock(), (1.0, 2.0)))
    health: Health = field(default_factory=lambda: Health(Slot(), ManualClock()))

    @property
    def news(self) -> LookupNews:
        return LookupNews(self.metrics.lookups, self.health)

    def read(self, name: str, **labels: str) -> float | None:
        value: float | None = self.metrics.registry.get_sample_value(name, labels)
        return value


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_batchs_lookups_are_counted_by_what_became_of_them(desk: Desk) -> None:
    counts = {"fresh": 7, "missing": 2, "cache_hits": 5, "cache_misses": 3, "catch_up_seconds": 0.25}
    for _ in range(2):
        desk.news.batch_finished(Batch(Rows(lookups=counts)))
    assert desk.read("penstock_lookup_events_total", standing="fresh") == 14
    assert desk.read("penstock_lookup_events_total", standing="missing") == 4
    assert desk.read("penstock_lookup_events_total", standing="unavailable") == 0
    assert desk.read("penstock_lookup_cache_total", result="hit") == 10
    assert desk.read("penstock_lookup_cache_total", result="miss") == 6
    assert desk.read("penstock_lookup_catch_up_seconds_total") == 0.5


def test_a_table_that_cannot_be_read_makes_the_job_unready_until_it_can(desk: Desk) -> None:
    desk.news.lookup_seen("the topic is gone", is_open=True)
    assert "the topic is gone" in desk.health.ready().reasons
    assert (desk.read("penstock_lookup_available"), desk.read("penstock_lookup_breaker_open")) == (0, 1)
    desk.news.lookup_seen("", is_open=False)
    assert "the topic is gone" not in desk.health.ready().reasons
    assert (desk.read("penstock_lookup_available"), desk.read("penstock_lookup_breaker_open")) == (1, 0)


def test_a_job_that_looks_nothing_up_exports_nothing_of_it(desk: Desk) -> None:
    assert desk.read("penstock_lookup_available") is None
