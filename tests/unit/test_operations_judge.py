"""What a judge says of itself: its looks, what each check finds, how far it has read, and whether it is well."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import pytest

from jobs.wiring.judging import JudgeWatch, judge_watch
from streaming.clock import system_clock
from streaming.errors import BrokerUnavailableError, SetupError
from streaming.judging.rounds import JudgeRounds
from streaming.operations.health import LookHealth
from streaming.operations.http import HttpServer
from streaming.operations.judge_metrics import JudgeMetrics
from streaming.operations.probes import probed_app
from streaming.rollout.machine import RolloutOrder
from streaming.settings import Settings
from streaming.testing import ManualClock
from tests.support.judging import SUBJECT, MadeUpTopics, shadow_record
from tests.unit.test_engines_rollout import BY_LABELS, Job, in_first_step
from tests.unit.test_judging import flown


class LostTopics(MadeUpTopics):
    """Topics of a broker that is away."""

    def whole_ledger(self) -> Iterable[Mapping[str, Any]]:
        raise BrokerUnavailableError("Kafka does not answer")

    fresh_ledger = whole_ledger


def watched(job: Job, topics: MadeUpTopics) -> JudgeWatch:
    topics.books = job.books.records
    rounds = JudgeRounds(SUBJECT, topics, job.clock)
    return JudgeWatch(rounds, JudgeMetrics(job.clock), LookHealth(job.clock, stale_seconds=300))


def sample(watch: JudgeWatch, name: str, **labels: str) -> float | None:
    return watch.metrics.registry.get_sample_value(f"penstock_judge_{name}", labels)


def test_a_look_tells_what_each_check_finds_and_what_was_counted() -> None:
    job, topics = in_first_step(BY_LABELS).batch(candidate=200), MadeUpTopics()
    watch = watched(job, topics)
    records, labels = flown(4, lambda chance: 1 - chance)
    topics.pairs += records
    topics.tables.append(labels)
    watch.look()
    name = topics.written[0]["rollout"]
    assert sample(watch, "finding", rollout=name, finding="harm") == 1
    assert sample(watch, "finding", rollout=name, finding="not told") == 0
    assert sample(watch, "check_finding", rollout=name, check="gross harm", finding="harm") == 1
    assert sample(watch, "check_finding", rollout=name, check="days", finding="not told") == 1
    assert sample(watch, "check_count", rollout=name, check="gross harm") == 240
    assert sample(watch, "check_dry_run", rollout=name, check="gross harm") == 0
    assert sample(watch, "check_holds", rollout=name, check="drift") == 0
    assert sample(watch, "evidence", rollout=name, what="labelled events") == 240
    assert sample(watch, "verdicts_total", finding="harm") == 1
    assert sample(watch, "last_look_seconds") == sample(watch, "last_verdict_seconds") == job.clock().timestamp()
    job.ordered(RolloutOrder.ABORT)
    watch.look()
    assert sample(watch, "looks_total", result="ok") == 2
    assert sample(watch, "finding", rollout=name, finding="harm") is None, "it is not judged any more"


def test_what_is_still_to_be_read_is_told_by_topic() -> None:
    job, topics = in_first_step(BY_LABELS), MadeUpTopics()
    watch = watched(job, topics)
    topics.pairs.append(shadow_record(1, 0.3, 0.3))
    watch.look()
    topics.pairs += [shadow_record(n, 0.3, 0.3) for n in (2, 3)]
    assert sample(watch, "lag_offsets", topic="shadow") == 0
    assert watch.rounds.lag() == {"shadow": 2, "dead letters": 0, "labels": 0, "drift": 0}


def test_a_judge_is_ready_once_it_has_looked_and_as_long_as_its_looks_end_well() -> None:
    job, topics = in_first_step(BY_LABELS), MadeUpTopics()
    watch = watched(job, topics)
    assert watch.health.ready().reasons == ("no look at the topics has ended yet",)
    watch.look()
    assert watch.health.ready().ok
    job.clock.advance(301)
    assert watch.health.ready().reasons == ("the last look ended 301 s ago",)
    watch.look()
    assert watch.health.ready().ok


def test_a_broker_that_is_away_makes_the_judge_not_ready_and_does_not_end_it() -> None:
    clock = ManualClock()
    health = LookHealth(clock, stale_seconds=300)
    watch = JudgeWatch(JudgeRounds(SUBJECT, LostTopics(), clock), JudgeMetrics(clock), health)
    watch.look()
    assert watch.health.ready().reasons == ("the last look failed: Kafka does not answer",)
    assert watch.health.live().ok, "a new process would not find it either"
    assert sample(watch, "looks_total", result="failed") == 1


def test_the_endpoint_answers_metrics_and_both_probes() -> None:
    clock = ManualClock()
    health = LookHealth(clock, stale_seconds=300)
    server = HttpServer(probed_app(JudgeMetrics(clock).text, health), "127.0.0.1", 0)
    server.start()
    try:
        with httpx.Client(base_url=server.url, timeout=5, trust_env=False) as client:
            statuses = {path: client.get(path).status_code for path in ("/metrics", "/livez", "/readyz", "/v1/model")}
            assert statuses == {"/metrics": 200, "/livez": 200, "/readyz": 503, "/v1/model": 404}
            health.looked()
            assert client.get("/readyz").status_code == 200
            assert "penstock_judge_look_seconds" in client.get("/metrics").text
    finally:
        server.stop()


def test_a_port_in_use_is_said_with_the_setting_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings.model_validate({"judge": {"metrics_port": taken.getsockname()[1]}})
        with (
            pytest.raises(SetupError, match=r"set judge\.metrics_port to another"),
            judge_watch(settings, system_clock),
        ):
            pass
