"""The ledger's topic read for people: all of one application's records in order, or the latest ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from streaming.adapters.kafka.scan import KafkaScan
from streaming.offsets import Progress

_BLOCK = 5_000


class KafkaLedgerReader:
    """Reader of what :class:`streaming.adapters.kafka.ledger.KafkaLedger` wrote, and of the model events."""

    def __init__(self, scan: KafkaScan, topic: str, application: str) -> None:
        self._scan = scan
        self._topic = topic
        self._application = application

    def complete(self) -> bool:
        """Return whether the topic still has its first record."""
        return self._scan.partitions(self._topic) > 0 and self._scan.extent(self._topic, 0)[0] == 0

    def records(self, progress: Progress) -> Iterator[dict[str, Any]]:
        """Yield all records of the application, oldest first."""
        if not self._scan.partitions(self._topic):
            return
        first, end = self._scan.extent(self._topic, 0)
        for offset, value in self._scan.keyed(self._topic, self._application, first, end):
            progress(offset + 1 - first, end - first)
            yield json.loads(value)

    def latest(
        self, count: int, since: datetime | None, is_asked: Callable[[dict[str, Any]], bool]
    ) -> list[dict[str, Any]]:
        """Return up to ``count`` of the latest records that are asked for, oldest first; none from before ``since``."""
        if not self._scan.partitions(self._topic):
            return []
        first, end = self._scan.extent(self._topic, 0)
        if since is not None:
            first = self._scan.offset_at(self._topic, 0, int(since.timestamp() * 1_000))
        matches: list[dict[str, Any]] = []
        while end > first and len(matches) < count:
            start = max(first, end - _BLOCK)
            block = [json.loads(value) for _, value in self._scan.keyed(self._topic, self._application, start, end)]
            matches = [record for record in block if is_asked(record)] + matches
            end = start
        return matches[-count:]
