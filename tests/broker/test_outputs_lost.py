"""A running job that may not write any more, or whose output topic is gone: it says so, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka.admin import AclOperation, AdminClient, NewTopic, ResourceType
from pyspark.sql import SparkSession
from structlog.testing import capture_logs

from streaming.errors import ConfigurationError
from streaming.models.served import ServedModel
from tests.conftest import HOME
from tests.support.accounts import GuardedBroker, a_guarded_broker
from tests.support.engine import Bench, event
from tests.support.eventually import SLOWEST, eventually
from tests.support.serving import serving

ALL = AclOperation.ALL
TOPIC, GROUP, ID = ResourceType.TOPIC, ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID


@dataclass
class GuardedBench(Bench):
    """An application that has to say who it is."""

    account: dict[str, str] = field(default_factory=dict)

    @property
    def kafka(self) -> dict[str, str]:
        return self.account


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    with a_guarded_broker(HOME, tmp_path_factory.mktemp("guarded")) as broker:
        yield broker


@pytest.fixture
def guarded_bench(guarded: GuardedBroker, spark: SparkSession, model: ServedModel, tmp_path: Path) -> GuardedBench:
    """An application that may do all that it needs to."""
    topic, application = f"t-{uuid4().hex[:8]}", f"app-{uuid4().hex[:8]}"
    names = [topic, *(f"{topic}.{name}" for name in ("out", "dlq", "ledger", "progress", "models"))]
    admin = guarded.admin()
    for made in admin.create_topics([NewTopic(name, 1, 1) for name in names]).values():
        made.result(30)
    for name in names:
        guarded.grant(TOPIC, name, ALL)
    for name in (f"{application}.driver", f"{application}.{topic}.0"):
        guarded.grant(ID, name, ALL)
    for group in (application, "reader", *(f"{name}.log" for name in names)):
        guarded.grant(GROUP, group, ALL)
    bench = GuardedBench(spark, guarded.address, topic, tmp_path, application, account=guarded.settings())
    bench.slot.swap(model)
    return bench


@pytest.mark.long
@pytest.mark.parametrize("output", ["out", "dlq"])
def test_a_right_to_write_that_is_taken_away_ends_the_job_with_its_name(
    output: str, guarded: GuardedBroker, guarded_bench: GuardedBench
) -> None:
    bench = guarded_bench
    with serving(bench) as job:
        bench.send([event(1), b"no event"])
        eventually(lambda: len(bench.read(".out")) == 1 and len(bench.read(".dlq")) == 1, timeout=SLOWEST)
        guarded.deny(TOPIC, f"{bench.topic}.{output}", AclOperation.WRITE)
        bench.send([event(2), b"no event either"])
        job.thread.join(60)
        assert not job.thread.is_alive()
    assert len(job.failed) == 1
    assert isinstance(job.failed[0], ConfigurationError), job.failed
    assert job.failed[0].exit_code == 2
    assert f"refuses: grant WRITE on topic {bench.topic}.{output} to User:penstock" in str(job.failed[0])


def test_an_output_topic_that_is_deleted_is_named_while_its_writers_still_wait(bench: Bench) -> None:
    admin, out = AdminClient({**bench.kafka}), f"{bench.topic}.out"
    with capture_logs() as logs, serving(bench) as job:
        bench.send([event(1)])
        eventually(lambda: len(bench.read(".out")) == 1, timeout=SLOWEST)
        assert job.health.ready().ok
        admin.delete_topics([out])[out].result(30)
        bench.send([event(2)])
        eventually(lambda: any(f"output topic '{out}' was deleted" in why for why in job.health.ready().reasons))
        assert job.failed == []
        admin.create_topics([NewTopic(out, 2, 1)])[out].result(30)
        eventually(lambda: not any("was deleted" in why for why in job.health.ready().reasons), timeout=SLOWEST)
    assert [line["event"] for line in logs].count("a topic cannot be used") == 1
