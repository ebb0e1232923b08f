"""The server put together: settings to follower, slot, scorers, routes and sockets."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import structlog

from jobs.configuration.paths import require_writable
from jobs.process import collector
from jobs.process.stopping import StopRequest
from jobs.wiring.following import follow, last_good_file, registry
from jobs.wiring.in_process import in_process_preparation, require_no_spark
from jobs.wiring.serving_rights import admission, api_keys, certificate, require_keys
from streaming.adapters.hooks import hooks_from
from streaming.clock import system_clock
from streaming.models.follower import Follower
from streaming.models.slot import Slot
from streaming.operations.admin import Access
from streaming.operations.http import HttpServer, Listening
from streaming.serving.admission import Admission
from streaming.serving.app import serving_app
from streaming.serving.intake import Intake
from streaming.serving.keys import ApiKeys
from streaming.serving.lanes import Lane
from streaming.serving.passes import EventPasses, feature_pass
from streaming.serving.peer_routes import peer_app
from streaming.serving.peers import Peers
from streaming.serving.server_metrics import ServerMetrics
from streaming.serving.service import Readiness, ScoringService
from streaming.settings import ServeSettings, Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_SWITCH_SECONDS = 0.0005


@dataclass(frozen=True)
class ServingMember:
    """One of several processes behind a port: its number from 0, and the folder of everyone's own socket."""

    number: int
    folder: Path


@dataclass(frozen=True)
class ScoringServer:
    """A server; ``run`` keeps it until it is asked to stop."""

    follower: Follower
    readiness: Readiness
    stopping: StopRequest
    drain_seconds: float
    listen: Callable[[], None]
    """Called once a version serves."""

    def run(self, serves: Callable[[], None] = lambda: None) -> None:
        """Load a first version and follow the registry until asked to stop; then drain.

        Args:
            serves: called once requests can be answered.

        Raises:
            SetupError: the port cannot be taken.
            ModelError: the selector names no version that may serve, and none served before.
            RegistryUnavailableError: the registry does not answer, and nothing that served before is in the cache.
        """
        if self.follower.load_first(self.stopping.asked) is not None:
            self.follower.start()
            collector.freeze_startup_objects()
            self.listen()
            serves()
        self.stopping.asked.wait()
        self.readiness.draining = True
        _log.info("stopping: requests are answered until those who send them have seen it", seconds=self.drain_seconds)
        time.sleep(self.drain_seconds)


@contextmanager
def scoring_server(
    settings: Settings, stopping: StopRequest, member: ServingMember | None = None
) -> Iterator[ScoringServer]:
    """Open a server, and close everything it opened at the end; what is in flight is answered first.

    Args:
        settings: all of them.
        stopping: says when to end.
        member: among several processes. The kernel gives each some of the connections, so such a process listens only
            once it has a version; a server of one process listens at once, and says that it is not ready.

    Raises:
        ConfigurationError: the settings are wrong, a port is taken, or no registry is named.
    """
    keys = require_servable(settings)
    serve, own, metrics = settings.serve, _own(settings), ServerMetrics(system_clock)
    # A version that the stream's job put on hold does not serve here either, where both share a cache.
    held = (*last_good_file(settings).load().held, *last_good_file(own).load().held)
    slot = Slot(frozenset(held))
    with ExitStack() as stack:
        # Whoever is told of a swap is told once, and not by each process.
        hooks = hooks_from(settings.hooks, system_clock) if member is None or member.number == 0 else []
        for hook in hooks:
            stack.callback(hook.close)
        follower = follow(own, slot, in_process_preparation(settings, singly=True), metrics, hooks)
        stack.callback(follower.stop)
        service = _service(settings, admission(settings, keys, stack), slot, metrics, follower)
        stack.callback(service.thread.shutdown)
        listening = Listening("serve", round(serve.timeout_seconds) + 1, certificate(serve), shared=member is not None)
        # The follower reads and checks models in a thread of its own, beside which requests shall not wait for 5 ms.
        sys.setswitchinterval(_SWITCH_SECONDS)
        if member is not None:
            service = replace(service, peers=Peers(member.folder, member.number))
        answers = partial(_listen, stack, service, serve, listening)
        if member is None:
            answers()
        yield ScoringServer(
            follower=follower,
            readiness=service.readiness,
            stopping=stopping,
            drain_seconds=serve.drain_seconds,
            listen=answers if member is not None else _already,
        )


def _listen(stack: ExitStack, service: ScoringService, serve: ServeSettings, listening: Listening) -> None:
    """Open the port, and for several processes this one's own socket; ``stack`` closes both."""
    if service.peers is not None:
        own = Listening("serve", unix_socket=service.peers.own_socket)
        _start(stack, HttpServer(peer_app(service), serve.host, serve.port, own))
    _start(stack, HttpServer(serving_app(service), serve.host, serve.port, listening))


def _start(stack: ExitStack, http: HttpServer) -> None:
    stack.callback(http.stop)
    http.start()


def _already() -> None:
    """Listen no further."""


def require_servable(settings: Settings) -> ApiKeys:
    """Return the callers' keys; raises ``ConfigurationError`` for settings by which no server can start."""
    require_no_spark(settings, "serve")
    keys = api_keys(settings.serve)
    require_keys(settings.serve, keys)
    require_writable(settings.model.cache_dir, "model.cache_dir")
    registry(settings.model)
    return keys


def _own(settings: Settings) -> Settings:
    """Return the settings under a name of the server's own, so that it and the stream's job remember apart."""
    return settings.model_copy(update={"application": f"{settings.application}-serve"})


def _service(
    settings: Settings, rights: Admission, slot: Slot, metrics: ServerMetrics, follower: Follower
) -> ScoringService:
    serve, thread = settings.serve, ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-requests")
    token = settings.http.admin_token.get_secret_value() if settings.http.admin_token else None
    passes = EventPasses(f"http-{uuid4().hex[:8]}", system_clock)
    return ScoringService(
        slot=slot,
        readiness=Readiness(slot),
        metrics=metrics,
        intake=Intake(serve.max_body_bytes, serve.max_in_flight_bytes, serve.max_rows, serve.max_in_flight),
        admission=rights,
        thread=thread,
        events=Lane(slot, passes, thread, serve.timeout_seconds),
        features=Lane(slot, feature_pass, thread, serve.timeout_seconds),
        envelope=settings.event,
        wake=follower.wake,
        access=Access(serve.host, token),
        audits=serve.audit,
    )
