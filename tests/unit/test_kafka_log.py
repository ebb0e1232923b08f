"""A topic that cannot be read, because nobody answers."""

from __future__ import annotations

import pytest

from streaming.adapters.kafka import log
from streaming.adapters.kafka.config import client_config
from streaming.errors import BrokerUnavailableError


def test_a_broker_that_is_away_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_TIMEOUT", 1.0)
    ledger = log.KafkaLog(client_config({"bootstrap.servers": "127.0.0.1:1"}), "ledger")
    with pytest.raises(BrokerUnavailableError, match=r"'ledger' of Kafka at 127\.0\.0\.1:1 .* check kafka\.bootstrap"):
        list(ledger.read())
