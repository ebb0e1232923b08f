"""Waiting out what a broker answers while it finds its feet: after a start, an election, or a topic's creation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaException

T = TypeVar("T")

_PATIENCE = 15.0
_PAUSE = 0.2
_SOON = frozenset(
    {
        "NOT_COORDINATOR",
        "COORDINATOR_NOT_AVAILABLE",
        "COORDINATOR_LOAD_IN_PROGRESS",
        "LEADER_NOT_AVAILABLE",
        "NOT_LEADER_FOR_PARTITION",
    }
)


def settled(call: Callable[[], T]) -> T:
    """Return what ``call`` returns, repeated for up to 15 s while the broker says that it cannot answer yet.

    Only for what may be asked twice. Any other error, and the last of these, is raised as it is.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return call()
        except KafkaException as problem:
            if problem.args[0].name() not in _SOON or time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE)
