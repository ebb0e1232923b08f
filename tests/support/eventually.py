"""Wait for something to come true, instead of sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
SLOWEST = 180.0
"""Seconds in which a process, a query or a broker gets somewhere on the slowest machine."""


def eventually(check: Callable[[], T | None], *, timeout: float = 60.0, every: float = 0.1) -> T:
    """Call ``check`` until it returns something true, and return that.

    A check that raises ``AssertionError`` or returns something false is tried again after ``every`` seconds; after
    ``timeout`` seconds the last failure is raised as an ``AssertionError``. Any other exception ends the wait at once.
    """
    deadline = time.monotonic() + timeout
    while True:
        failure: AssertionError | None = None
        value: T | None = None
        try:
            value = check()
        except AssertionError as error:
            failure = error
        if value:
            return value
        if time.monotonic() >= deadline:
            what = f"still failing: {failure}" if failure else f"the check still returned {value!r}"
            raise AssertionError(f"after {timeout} s {what}") from failure
        time.sleep(every)
