"""A bench whose job serves by the live engine, and what its outputs say."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.scan import stored
from streaming.delivery.marks import Mark
from streaming.outputs.read_back import Output, read_output
from tests.support.engine import Bench
from tests.support.serving import serving

Place = tuple[int, int]


@dataclass
class LiveBench(Bench):
    """Serves while the block of :meth:`live` lasts; ``run`` is still the exact engine's."""

    kind: Literal["exact", "live"] = "live"
    failed: list[BaseException] = field(default_factory=list)

    def run(self) -> None:
        Bench.run(replace(self, kind="exact"))

    @contextmanager
    def live(self) -> Iterator[threading.Thread]:
        """Serve on a thread; at the end, ask it to stop and wait. What it raised is in ``failed``."""
        with serving(self, restarts=3) as job:
            self.failed = job.failed
            yield job.thread

    def marks(self) -> Mapping[int, Mark | None]:
        return KafkaAdmin(self.kafka, self.application).marks(self.topic, range(2))

    def last_versions(self) -> set[int]:
        """The versions of the latest predictions."""
        latest = sorted(self.read(".out"), key=lambda message: message.timestamp()[1])[-10:]
        return {version(message) for message in latest}

    def places(self) -> list[Place]:
        """The source of every output, predictions and dead letters, repeated ones too."""
        return [place(message) for suffix in (".out", ".dlq") for message in self.read(suffix)]


def place(message: Any) -> Place:
    """Return the input partition and offset that an output answers."""
    _, partition, offset = _output(message).source
    return partition, offset


def version(message: Any) -> int:
    """Return the version that scored an output."""
    return _output(message).version


def _output(message: Any) -> Output:
    output = read_output(stored(message))
    assert output is not None
    return output
