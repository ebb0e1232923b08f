from __future__ import annotations

import os
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from streaming.errors import SetupError
from streaming.local.broker import start_broker
from streaming.local.jars import ensure_jars
from streaming.local.processes import free_port
from tests.support.eventually import SLOWEST, eventually
from tests.support.kafka import topic_maker


def test_a_broker_keeps_its_records_when_it_is_started_again_on_other_ports(root: Path, tmp_path: Path) -> None:
    jars = ensure_jars(root / ".penstock", os.environ).broker
    with start_broker(tmp_path, jars, free_port(), os.environ) as broker:
        broker.wait_ready()
        topic = topic_maker(broker.address)("kept", partitions=1)
        producer = Producer({"bootstrap.servers": broker.address})
        producer.produce(topic, b"still here")
        assert producer.flush(30) == 0

    with start_broker(tmp_path, jars, free_port(), os.environ) as broker:
        broker.wait_ready()
        consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "g", "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        message = eventually(lambda: consumer.poll(1.0), timeout=SLOWEST)
        consumer.close()
    assert message.value() == b"still here"


@pytest.mark.long
def test_a_broker_that_cannot_start_says_why(root: Path, tmp_path: Path) -> None:
    jars = ensure_jars(root / ".penstock", os.environ).broker
    port = free_port()
    with start_broker(tmp_path / "first", jars, port, os.environ) as first:
        first.wait_ready()
        with start_broker(tmp_path / "second", jars, port, os.environ) as second:
            # The first one answers on the port, so readiness alone would be taken for the second's.
            eventually(lambda: second.process.exit_code is not None, timeout=SLOWEST)
            with pytest.raises(SetupError, match="ended with code 1") as raised:
                second.wait_ready()
    assert "Address already in use" in str(raised.value)
