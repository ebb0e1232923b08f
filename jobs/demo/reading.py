"""Reading predictions and dead letters while they are written, and noting when."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing

from jobs.demo.results import Seen
from schemas.prediction import CORRECTS
from streaming.accounting.records import Place, ReadResult
from streaming.accounting.subscriber import Subscriber, result_of

_POLL_SECONDS = 0.1
_IDLE_POLLS = 15
_SILENCE_SECONDS = 60.0


def corrected_places(bootstrap_servers: str, predictions: str) -> set[Place]:
    """Return the places of the events that a repair has published a correction of."""
    with closing(Subscriber(bootstrap_servers, predictions)) as subscriber:
        return {result_of(record).place for record in subscriber.to_the_end() if CORRECTS in dict(record.headers)}


class OutputReader:
    """Reads both topics from their beginning until ``stop`` is set and nothing more arrives, or until ``abandon``."""

    def __init__(self, bootstrap_servers: str, predictions: str, dead_letters: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topics = (predictions, dead_letters)
        self.predictions: list[Seen] = []
        self.dead: list[Place] = []
        self.reasons: Counter[str] = Counter()
        self.first_read: dict[int, float] = {}
        self.stop = threading.Event()
        self.abandon = threading.Event()

    @property
    def count(self) -> int:
        """How many records were read so far."""
        return len(self.predictions) + len(self.dead)

    @property
    def places(self) -> list[Place]:
        """The places of the events that have a prediction, one for each prediction."""
        return [seen.position for seen in self.predictions]

    def follow(self) -> None:
        """Read; runs in a thread of its own."""
        with closing(Subscriber(self._bootstrap_servers, *self._topics)) as subscriber:
            idle = 0
            while idle < _IDLE_POLLS and not self.abandon.is_set():
                fetched = subscriber.poll(_POLL_SECONDS)
                now = time.time()
                for record in fetched:
                    self._take(result_of(record), now)
                idle = idle + 1 if self.stop.is_set() and not fetched else 0

    def wait_for(self, records: int, look: Callable[[], None]) -> None:
        """Wait until so many records are read, or nothing has come for a minute.

        ``look`` is called meanwhile; it takes a moment, and raises what has gone wrong.
        """
        count, changed = -1, time.monotonic()
        while self.count < records and time.monotonic() - changed < _SILENCE_SECONDS:
            if self.count != count:
                count, changed = self.count, time.monotonic()
            look()

    def _take(self, result: ReadResult, now: float) -> None:
        value = result.value
        if value is None:
            self.dead.append(result.place)
            self.reasons[result.reason] += 1
            return
        self.first_read.setdefault(result.version, now)
        late = value["probability"][1]
        self.predictions.append(
            Seen(
                position=result.place,
                read_at=now,
                version=result.version,
                event_id=value["event_id"],
                prediction=value["prediction"],
                probability=late,
            )
        )
