"""A topic that cannot be read, because nobody answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streaming.adapters.kafka import log, scan
from streaming.adapters.kafka.config import client_config
from streaming.errors import BrokerUnavailableError

AWAY = {"bootstrap.servers": "127.0.0.1:1"}


def read_log(topic: str) -> None:
    list(log.KafkaLog(client_config(AWAY), topic).read())


def read_scan(topic: str) -> None:
    with scan.KafkaScan(AWAY, "flights") as view:
        view.partitions(topic)


@pytest.mark.parametrize("read", [read_log, read_scan])
def test_a_broker_that_is_away_is_named_with_the_remedy(
    read: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (log, scan):
        monkeypatch.setattr(module, "_TIMEOUT", 1.0)
    with pytest.raises(BrokerUnavailableError, match=r"'ledger' of Kafka at 127\.0\.0\.1:1 .* check kafka\.bootstrap"):
        read("ledger")
