"""Trying what may fail beside the stream, and not again at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import structlog

from streaming.errors import CandidateRefusedError, PenstockError

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_AGAIN_SECONDS = 30.0


class Tries:
    """Tries what may fail. What was tried is not tried again before some time has passed, or the state is another."""

    def __init__(self) -> None:
        self._results: dict[tuple[str, int], tuple[str, float]] = {}

    def __call__(self, key: tuple[str, int], attempt: Callable[[], str]) -> str:
        """Return why it cannot be, empty if it is done; ``key`` is a name and the number of the state."""
        problem, again = self._results.get(key, ("", 0.0))
        if time.monotonic() < again:
            return problem
        problem, pause = _attempted(attempt)
        same_state = {other: result for other, result in self._results.items() if other[1] == key[1]}
        self._results = {**same_state, key: (problem, time.monotonic() + pause)}
        return problem


def _attempted(attempt: Callable[[], str]) -> tuple[str, float]:
    """Return why an attempt has failed, empty if it has not, and after how many seconds to try again."""
    try:
        return attempt(), _AGAIN_SECONDS
    except CandidateRefusedError as problem:
        return str(problem), _AGAIN_SECONDS if problem.reason.retried else math.inf
    except PenstockError as problem:
        return str(problem), _AGAIN_SECONDS
    # Whatever a candidate throws while it is loaded, the version that serves goes on serving.
    except Exception as problem:
        _log.exception("rollout: a try failed unexpectedly")
        return f"{type(problem).__name__}: {problem}", _AGAIN_SECONDS
