"""The server put together: settings to follower, slot, scorers, routes and sockets."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from uuid import uuid4

import structlog
from pyspark.sql import SparkSession

from jobs.configuration.paths import require_writable
from jobs.process import collector
from jobs.process.stopping import StopRequest, children_ignore_signals
from jobs.wiring.following import follow, last_good_file, make_announcer, registry, server_registry
from jobs.wiring.in_process import in_process_preparation, require_no_spark
from jobs.wiring.serving_chain import patient, require_chain_servable, served_chain, served_stand_ins
from jobs.wiring.serving_log import answer_log
from jobs.wiring.serving_lookup import require_lookup_servable, served_lookup
from jobs.wiring.serving_rights import admission, api_keys, certificate, require_keys
from jobs.wiring.serving_rollout import require_identity, rollout_arms
from jobs.wiring.serving_shadow import shadow_log
from jobs.wiring.session import require_log, session
from streaming.adapters.hooks import hooks_from
from streaming.clock import system_clock
from streaming.errors import ModelError, RegistryUnavailableError
from streaming.lookup.followed import TableFollower
from streaming.models.follower import Follower
from streaming.models.rollout_versions import CheckedVersions
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.operations.admin import Access
from streaming.operations.http import HttpServer, Listening
from streaming.serving.admission import Admission
from streaming.serving.app import serving_app
from streaming.serving.arms import ArmsOf
from streaming.serving.chain import ServedChain
from streaming.serving.feature_passes import FeaturePasses
from streaming.serving.intake import Intake
from streaming.serving.keys import ApiKeys
from streaming.serving.lanes import Lane, takes_its_time
from streaming.serving.passes import EventPasses
from streaming.serving.peer_routes import peer_app
from streaming.serving.peers import Peers
from streaming.serving.rollout_arms import RolloutArms
from streaming.serving.server_metrics import ServerMetrics
from streaming.serving.service import EventLane, Readiness, ScoringService
from streaming.serving.shadow_counts import ShadowCounts
from streaming.settings import ServeSettings, Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
SPARK_LOG = Path(".penstock/serve-spark.log")
_SWITCH_SECONDS = 0.0005
_STAND_IN_SECONDS = 60.0
"""A fallback version is downloaded and checked by then, if it can be."""


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
    chain: ServedChain | None = None

    def run(self, serves: Callable[[], None] = lambda: None) -> None:
        """Load a first version and follow the registry until asked to stop; then drain.

        Args:
            serves: called once requests can be answered.

        Raises:
            SetupError: the port cannot be taken.
            ModelError: the selector names no version that may serve, and none served before.
            RegistryUnavailableError: the registry does not answer, and nothing that served before is in the cache.
        """
        if self._can_answer():
            self.follower.start()
            collector.freeze_startup_objects()
            self.listen()
            serves()
        self.stopping.asked.wait()
        self.readiness.draining = True
        _log.info("stopping: requests are answered until those who send them have seen it", seconds=self.drain_seconds)
        time.sleep(self.drain_seconds)

    def _can_answer(self) -> bool:
        """Wait for the champion, or begin without it where the fallback chain can answer; False if asked to stop."""
        try:
            return self.follower.load_first(self.stopping.asked) is not None
        except (ModelError, RegistryUnavailableError) as problem:
            if self.chain is None or self.chain.wait(_STAND_IN_SECONDS) is None:
                raise
            _log.error("the server begins without its champion; the fallback chain answers", problem=str(problem))
            return True


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
        looking = served_lookup(settings, metrics, stack)
        checks = in_process_preparation(
            settings,
            singly=True,
            spark=_spark(settings, stopping, stack),
            lookup=None if looking is None else looking.lookup,
        )
        models = server_registry(own.model, member is None, stack)
        versions = CheckedVersions(models, checks)
        follower = follow(own, slot, checks, make_announcer(own, metrics, hooks), models)
        stack.callback(follower.stop)
        rollout = rollout_arms(settings, slot, versions, stack)
        chain = None
        if settings.fallback.enabled:
            stand_ins = served_stand_ins(settings, slot, follower, stack)
            chain = served_chain(settings, stand_ins, metrics, rollout)
        parts = _Parts(
            slot=slot,
            metrics=metrics,
            follower=follower,
            rollout=rollout,
            table=None if looking is None else looking.table,
            chain=chain,
        )
        service = _service(settings, admission(settings, keys, stack), parts, stack)
        service = replace(service, log=answer_log(own, parts.passes, metrics, stack))
        if serve.shadow:
            counts = ShadowCounts(metrics.registry)
            service = replace(service, shadow=shadow_log(settings, parts.passes, versions, counts, stack))
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
            chain=parts.chain,
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
    if settings.serve.spark:
        require_log(SPARK_LOG)
    else:
        require_no_spark(settings, "serve")
    require_identity(settings)
    require_lookup_servable(settings)
    require_chain_servable(settings)
    keys = api_keys(settings.serve)
    require_keys(settings.serve, keys)
    require_writable(settings.model.cache_dir, "model.cache_dir")
    registry(settings.model)
    return keys


def _spark(settings: Settings, stopping: StopRequest, stack: ExitStack) -> SparkSession | None:
    """Return a session of this process's own that scores what has no compiled form, until ``stack`` ends."""
    if not settings.serve.spark:
        return None
    # A frame of few events is not worth dividing.
    spark = settings.spark.model_copy(update={"master": settings.spark.master or "local[1]"})
    own = settings.model_copy(update={"spark": spark})
    with children_ignore_signals():
        started = stack.enter_context(session(own, settings.served_application, SPARK_LOG))
    # Spark's own handler for Ctrl-C took the place of ours.
    stopping.listen()
    return started


def _own(settings: Settings) -> Settings:
    """Return the settings under a name of the server's own, so that it and the stream's job remember apart."""
    return settings.model_copy(update={"application": settings.served_application})


@dataclass(frozen=True)
class _Parts:
    """What a service is made of beside the settings."""

    slot: Slot
    metrics: ServerMetrics
    follower: Follower
    rollout: RolloutArms | None
    table: TableFollower | None
    chain: ServedChain | None

    @property
    def arms(self) -> ArmsOf | None:
        """Says which arms answer; ``None`` where it is always the champion's."""
        return self.chain or self.rollout

    @cached_property
    def passes(self) -> EventPasses:
        """Scores events, with ids that are this process's own."""
        return EventPasses(f"http-{uuid4().hex[:8]}", system_clock, self.arms, table=self.table, chain=self.chain)

    def leaves_loop(self, model: ServedModel) -> bool:
        """Return whether an arm's answers are not for the event loop to wait for."""
        arms = None if self.arms is None else self.arms(model)
        candidate = None if arms is None else arms.candidate
        return takes_its_time(model) or (candidate is not None and takes_its_time(candidate.model))


def _service(settings: Settings, rights: Admission, parts: _Parts, stack: ExitStack) -> ScoringService:
    serve, slot, thread = settings.serve, parts.slot, ThreadPoolExecutor(1, "large-requests")
    answering, seconds = parts.chain or slot, settings.fallback.request_seconds
    lane = Lane(answering, parts.passes, thread, serve.timeout_seconds, leaves_loop=parts.leaves_loop)
    events: EventLane = lane
    if parts.chain is not None and seconds is not None:
        events = patient(lane, parts.chain, parts.passes, seconds, stack)
    token = settings.http.admin_token.get_secret_value() if settings.http.admin_token else None
    return ScoringService(
        slot=slot,
        readiness=Readiness(answering, table=parts.table),
        metrics=parts.metrics,
        intake=Intake(serve.max_body_bytes, serve.max_in_flight_bytes, serve.max_rows, serve.max_in_flight),
        admission=rights,
        thread=thread,
        events=events,
        features=Lane(slot, FeaturePasses(parts.table), thread, serve.timeout_seconds),
        envelope=settings.event,
        wake=parts.follower.wake,
        access=Access(serve.host, token),
        audits=serve.audit,
        rollout=parts.rollout,
        table=parts.table,
        chain=parts.chain,
    )
