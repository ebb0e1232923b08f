"""The chaos suite's reader sees what a subscriber sees, and counts what the broker aborted."""

from __future__ import annotations

import os
from pathlib import Path

from confluent_kafka import Producer

from schemas import prediction
from streaming.accounting.batch_arms import Answerer
from streaming.accounting.records import ReadResult
from streaming.local.broker import start_broker
from streaming.local.jars import ensure_jars
from streaming.local.processes import free_port
from tests.chaos.reader import Reader, aborted
from tests.conftest import HOME
from tests.support.kafka import topic_maker


def test_aborted_predictions_are_counted_and_they_and_corrections_are_not_read(tmp_path: Path) -> None:
    with start_broker(tmp_path, ensure_jars(HOME, os.environ).broker, free_port(), os.environ) as broker:
        broker.wait_ready()
        topic = topic_maker(broker.address)("out", partitions=2)
        producer = Producer({"bootstrap.servers": broker.address, "transactional.id": "any"})
        producer.init_transactions(30)
        correction = {prediction.CORRECTS: "m:candidate:in:1:0"}
        for offset, keep, more in ((0, True, {}), (1, False, {}), (2, False, {}), (3, True, {}), (0, True, correction)):
            producer.begin_transaction()
            headers = {prediction.SOURCE_PARTITION: "1", prediction.SOURCE_OFFSET: f"{offset}", **more}
            producer.produce(topic, b"{}", b"k", partition=1, headers={**headers, prediction.MODEL_VERSION: "3"})
            producer.flush(30)
            producer.commit_transaction(30) if keep else producer.abort_transaction(30)
        read = Reader(broker.address).results(topic)
        by = Answerer(3)
        assert read == [ReadResult((1, 0), (1, 0), "k", by, {}), ReadResult((1, 3), (1, 6), "k", by, {})]
        assert aborted(tmp_path / "data", [topic]) == 2
        assert aborted(tmp_path / "data", ["other"]) == 0
