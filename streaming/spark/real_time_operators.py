"""The operators that Spark's real-time mode takes, which it checks itself only when a query starts."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

_ALLOWLIST = "org.apache.spark.sql.execution.streaming.runtime.RealTimeModeAllowlist"
_NAMES = f"{_ALLOWLIST.replace('.', '$')}$$allowedOperators"
"""What Scala makes of the name of a private field."""


def allowed_operators(session: SparkSession) -> frozenset[str]:
    """Return the full class names in Spark's own list."""
    jvm: Any = session._jvm
    module = getattr(jvm, f"{_ALLOWLIST}$").__getattr__("MODULE$")
    names = getattr(module, _NAMES)().iterator()
    allowed = set()
    while names.hasNext():
        allowed.add(str(names.next()))
    return frozenset(allowed)
