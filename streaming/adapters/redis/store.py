"""Values looked up in Redis, or a cluster of it: one round trip for the keys of a batch, within a bound of time."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import AuthenticationError, ClusterDownError, RedisClusterException, RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from streaming.errors import ConfigurationError, LookupUnavailableError
from streaming.lookup.value_store import ValueStore
from streaming.lookup_state import REDIS, LookupState
from streaming.pickling import PickledByFields
from streaming.settings import RedisSettings

_PROBLEMS = (RedisError, RedisClusterException, OSError)
_KEYS_AT_ONCE = 1_000
"""Keys of one command: while a server works on it, it answers nobody else."""


@dataclass(frozen=True)
class RedisStore(PickledByFields, ValueStore):
    """A :class:`streaming.lookup.value_store.ValueStore`. Each process has a client of its own.

    Attributes:
        settings: where Redis is, and how it is asked; they may hold a password.
    """

    settings: RedisSettings = field(repr=False)

    @property
    def time_field(self) -> str:
        """See :class:`streaming.lookup.value_store.ValueStore`."""
        return self.settings.time_field

    @property
    def cache_seconds(self) -> float:
        """See :class:`streaming.lookup.value_store.ValueStore`."""
        return self.settings.cache_seconds

    def values(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See :meth:`streaming.lookup.value_store.ValueStore.values`."""
        prefix = self.settings.prefix.encode()
        names = [prefix + key for key in keys]
        try:
            return _of_cluster(self._client, names) if self.settings.cluster else _of_server(self._client, names)
        except _PROBLEMS as problem:
            raise self._unavailable(problem) from problem

    def state(self) -> LookupState:
        """Return the state of a batch that is to ask Redis, if it answers.

        Raises:
            LookupUnavailableError: it does not answer, or refuses.
        """
        try:
            self._client.ping()
        except _PROBLEMS as problem:
            raise self._unavailable(problem) from problem
        return LookupState.of_store(REDIS)

    def require(self) -> None:
        """See that Redis knows us and lets us read, and that we trust it.

        Raises:
            ConfigurationError: one of these is not so.
            LookupUnavailableError: it does not answer.
        """
        try:
            self.values([b""])
        except LookupUnavailableError as problem:
            if any(_is_refusal(cause) for cause in _causes(problem)):
                raise ConfigurationError(
                    f"{problem}; correct lookup.redis.url, username, password, ca_file and cluster, and give the user"
                    " the right to read (MGET, PING) the keys of lookup.redis.prefix"
                ) from problem
            raise

    @cached_property
    def _client(self) -> Any:
        settings = self.settings
        options: dict[str, Any] = {
            "username": settings.username,
            "password": settings.password.get_secret_value() if settings.password else None,
            "socket_timeout": settings.timeout_seconds,
            "socket_connect_timeout": settings.timeout_seconds,
            # A connection that was idle for long may have been closed by the server.
            "retry": Retry(NoBackoff(), 1),
            # A server that announces its maintenance would make the client wait for longer than our bound.
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }
        if settings.url.startswith("rediss://"):
            files = {
                "ssl_ca_certs": settings.ca_file,
                "ssl_certfile": settings.client_cert_file,
                "ssl_keyfile": settings.client_key_file,
            }
            options |= {name: str(path) for name, path in files.items() if path is not None}
        kind: Any = RedisCluster if settings.cluster else Redis
        return kind.from_url(settings.url, **options)

    def _unavailable(self, problem: Exception) -> LookupUnavailableError:
        return LookupUnavailableError(f"columns cannot be looked up in Redis at {self.settings.url}: {problem}")


def _causes(problem: BaseException) -> Iterator[BaseException]:
    cause = problem.__cause__ or problem.__context__
    if cause is not None:
        yield cause
        yield from _causes(cause)


def _is_refusal(problem: BaseException) -> bool:
    """Return whether trying again would not help: the server refuses us or what is asked, or we refuse the server."""
    refusals = (AuthenticationError, ResponseError, ssl.SSLCertVerificationError)
    return isinstance(problem, refusals) and not isinstance(problem, ClusterDownError)


def _of_server(client: Any, names: Sequence[bytes]) -> list[bytes | None]:
    pipeline = client.pipeline(transaction=False)
    for start in range(0, len(names), _KEYS_AT_ONCE):
        pipeline.mget(names[start : start + _KEYS_AT_ONCE])
    return [value for values in pipeline.execute() for value in values]


def _of_cluster(client: Any, names: Sequence[bytes]) -> list[bytes | None]:
    # It groups the keys by slot, and sends each server its own at once.
    return cast("list[bytes | None]", client.mget_nonatomic(names))
