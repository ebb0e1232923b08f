"""The server put together: settings to follower, slot, scorers, routes and sockets."""

from __future__ import annotations

import ssl
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from uuid import uuid4

import structlog

from jobs.configuration.paths import require_writable
from jobs.process import collector
from jobs.process.stopping import StopRequest
from jobs.wiring.following import follow, last_good_file, registry
from streaming.adapters.hooks import hooks_from
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.models.cache import ModelCache
from streaming.models.candidate import Preparation
from streaming.models.follower import Follower
from streaming.models.package import CODE_FLAVOR, SPARK_FLAVOR
from streaming.models.reader import PackageReader
from streaming.models.slot import Slot
from streaming.models.stager import LocalFileStore, Stager
from streaming.models.topic_schema import NoEvents, TopicCheck
from streaming.operations.admin import Access, is_loopback
from streaming.operations.http import HttpServer, Listening
from streaming.scoring.flavours.table import FLAVOURS
from streaming.scoring.in_process import InProcessLoader
from streaming.serving.app import serving_app
from streaming.serving.intake import Intake
from streaming.serving.keys import ApiKeys, hashed, read_keys
from streaming.serving.lanes import Lane
from streaming.serving.passes import EventPasses, feature_pass
from streaming.serving.server_metrics import ServerMetrics
from streaming.serving.service import Readiness, ScoringService
from streaming.settings import ServeSettings, Settings

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_SWITCH_SECONDS = 0.0005


@dataclass(frozen=True)
class ScoringServer:
    """A server that listens; ``run`` keeps it until it is asked to stop."""

    follower: Follower
    readiness: Readiness
    stopping: StopRequest
    drain_seconds: float

    def run(self) -> None:
        """Load a first version and follow the registry until asked to stop; then drain.

        Raises:
            ModelError: the selector names no version that may serve, and none served before.
            RegistryUnavailableError: the registry does not answer, and nothing that served before is in the cache.
        """
        if self.follower.load_first(self.stopping.asked) is not None:
            self.follower.start()
            collector.freeze_startup_objects()
        self.stopping.asked.wait()
        self.readiness.draining = True
        _log.info("stopping: requests are answered until those who send them have seen it", seconds=self.drain_seconds)
        time.sleep(self.drain_seconds)


@contextmanager
def scoring_server(settings: Settings, stopping: StopRequest) -> Iterator[ScoringServer]:
    """Open a server, and close everything it opened at the end; what is in flight is answered first.

    Raises:
        ConfigurationError: the settings are wrong, a port is taken, or no registry is named.
    """
    serve, own = settings.serve, _own(settings)
    require_scorer(settings)
    require_keys(serve, api_keys(serve))
    require_writable(settings.model.cache_dir, "model.cache_dir")
    registry(settings.model)
    metrics = ServerMetrics(system_clock)
    # A version that the stream's job put on hold does not serve here either, where both share a cache.
    held = (*last_good_file(settings).load().held, *last_good_file(own).load().held)
    slot = Slot(frozenset(held))
    with ExitStack() as stack:
        hooks = hooks_from(settings.hooks, system_clock)
        for hook in hooks:
            stack.callback(hook.close)
        follower = follow(own, slot, in_process_preparation(settings), metrics, hooks)
        stack.callback(follower.stop)
        thread = stack.enter_context(ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-requests"))
        service = _service(settings, slot, metrics, follower, thread)
        listening = Listening("serve", round(serve.timeout_seconds) + 1, _certificate(serve))
        # The follower reads and checks models in a thread of its own, beside which requests shall not wait for 5 ms.
        sys.setswitchinterval(_SWITCH_SECONDS)
        http = HttpServer(serving_app(service), serve.host, serve.port, listening)
        stack.callback(http.stop)
        http.start()
        yield ScoringServer(follower, service.readiness, stopping, serve.drain_seconds)


def in_process_preparation(settings: Settings) -> Preparation:
    """Return the checks that every candidate goes through, none of which needs Spark or a broker."""
    model = settings.model
    code_seconds = model.code_seconds if model.allow_code else None
    loader = InProcessLoader(settings.event, settings.input.max_value_bytes, model.extra_stages, code_seconds)
    flavors = (SPARK_FLAVOR, *FLAVOURS, *([CODE_FLAVOR] if model.allow_code else []))
    return Preparation(
        cache=ModelCache(model.cache_dir, model.cache_keep, model.cache_max_bytes),
        reader=PackageReader(model, installed("pyspark")),
        topic=TopicCheck(NoEvents(), settings.event),
        stager=Stager(LocalFileStore(), None),
        loaders=dict.fromkeys([CODE_FLAVOR] if model.scorer == "pyfunc" else flavors, loader),
    )


def require_scorer(settings: Settings) -> None:
    """Raise ``ConfigurationError`` if versions shall be scored by Spark, which a server has not."""
    if settings.model.scorer == "spark":
        raise ConfigurationError(
            "model.scorer is spark, and penstock serve scores without Spark; set it to auto or compiled, or score by"
            " penstock score or batch"
        )


def require_keys(serve: ServeSettings, keys: ApiKeys) -> None:
    """Raise ``ConfigurationError`` if strangers could score, and nobody said that they may."""
    if not (keys.hashes or serve.open or is_loopback(serve.host)):
        raise ConfigurationError(
            f"serve.host is {serve.host}, which others reach, and no key is asked for; set serve.api_key or"
            " serve.api_keys_file, or serve.open: true to answer everyone"
        )


def api_keys(serve: ServeSettings) -> ApiKeys:
    """Return the keys of the settings and of the file that they name; raises ``ConfigurationError`` for a bad file."""
    own = (hashed(serve.api_key.get_secret_value()),) if serve.api_key else ()
    return ApiKeys((*own, *(read_keys(serve.api_keys_file) if serve.api_keys_file else ())))


def _own(settings: Settings) -> Settings:
    """Return the settings under a name of the server's own, so that it and the stream's job remember apart."""
    return settings.model_copy(update={"application": f"{settings.application}-serve"})


def _service(
    settings: Settings, slot: Slot, metrics: ServerMetrics, follower: Follower, thread: ThreadPoolExecutor
) -> ScoringService:
    serve = settings.serve
    token = settings.http.admin_token.get_secret_value() if settings.http.admin_token else None
    passes = EventPasses(f"http-{uuid4().hex[:8]}", system_clock)
    return ScoringService(
        slot=slot,
        readiness=Readiness(slot),
        metrics=metrics,
        intake=Intake(serve.max_body_bytes, serve.max_in_flight_bytes, serve.max_rows),
        keys=api_keys(serve),
        max_in_flight=serve.max_in_flight,
        events=Lane(slot, passes, thread, serve.timeout_seconds),
        features=Lane(slot, feature_pass, thread, serve.timeout_seconds),
        envelope=settings.event,
        wake=follower.wake,
        access=Access(serve.host, token),
    )


def _certificate(serve: ServeSettings) -> tuple[Path, Path] | None:
    """Return the files of TLS; raises ``ConfigurationError`` if they are not a certificate and its key."""
    if serve.tls_cert_file is None or serve.tls_key_file is None:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # Tried here, where a message can name the settings. Without a password, OpenSSL would ask the terminal for one.
        context.load_cert_chain(serve.tls_cert_file, serve.tls_key_file, password="")
    except (OSError, ssl.SSLError) as problem:
        raise ConfigurationError(
            f"serve.tls_cert_file {serve.tls_cert_file} and serve.tls_key_file {serve.tls_key_file} cannot be used:"
            f" {problem}"
        ) from None
    return serve.tls_cert_file, serve.tls_key_file
