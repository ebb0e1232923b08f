"""A live engine over a real broker and real-time queries, wired as the job wires it, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.wiring.live import LiveParts, live_checkpoints, live_engine
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.scan import stored
from streaming.delivery.marks import Mark
from streaming.engines.breaker import Breaker
from streaming.engines.checkpoint import Checkpoint, local_reader
from streaming.outputs.read_back import Output, read_output
from streaming.settings import Settings
from tests.support.engine import NEVER, Bench

Place = tuple[int, int]


@dataclass
class LiveBench(Bench):
    """Serves while the block of :meth:`live` lasts."""

    breaker: Breaker = NEVER
    failed: list[BaseException] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        given = super().settings
        engine = given.engine.model_copy(
            update={"kind": "live", "checkpoint_seconds": 5.0, "restart_seconds": 0.1, "max_restarts": 3}
        )
        checkpoint = engine.model_copy(update={"checkpoint": str(self.home / "checkpoint")})
        return given.model_copy(update={"engine": checkpoint})

    @contextmanager
    def live(self) -> Iterator[threading.Thread]:
        """Serve on a thread; at the end, ask it to stop and wait. What it raised is in ``failed``."""
        stopping = threading.Event()
        with self.wired() as (wired, _):
            location = live_checkpoints(self.settings)
            footing = replace(wired, checkpoint=Checkpoint(location, self.topic, local_reader))
            engine = live_engine(footing, LiveParts(self.slot, self, self.breaker, stopping))  # type: ignore[arg-type]

            def serve() -> None:
                try:
                    engine.run()
                except BaseException as problem:
                    self.failed.append(problem)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            try:
                yield thread
            finally:
                stopping.set()
                thread.join(60)
                assert not thread.is_alive()

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
