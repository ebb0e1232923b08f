"""Redis as what columns are looked up in. Its library is an extra, and is imported only where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from jobs.configuration.paths import require_readable_file
from jobs.wiring.extras import require_extra
from streaming.errors import LookupUnavailableError
from streaming.settings import RedisSettings

if TYPE_CHECKING:
    from streaming.adapters.redis.store import RedisStore

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def redis_store(redis: RedisSettings) -> RedisStore:
    """Return what asks Redis; nothing is asked yet.

    Raises:
        SetupError: its library is not installed.
    """
    require_extra("redis", "redis")
    from streaming.adapters.redis.store import RedisStore

    return RedisStore(redis)


def require_redis(redis: RedisSettings) -> None:
    """See that Redis may be asked.

    If it does not answer, that is only logged: the settings say what becomes of batches meanwhile.

    Raises:
        ConfigurationError: a file for TLS cannot be read, or Redis refuses us.
        SetupError: its library is not installed.
    """
    files = {"ca_file": redis.ca_file, "client_cert_file": redis.client_cert_file}
    for name, path in {**files, "client_key_file": redis.client_key_file}.items():
        if path is not None:
            require_readable_file(path, f"lookup.redis.{name}")
    try:
        redis_store(redis).require()
    except LookupUnavailableError as problem:
        _log.warning("Redis does not answer yet", problem=str(problem))
