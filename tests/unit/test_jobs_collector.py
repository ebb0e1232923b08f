"""What a long-running job throws away is collected soon, however much start-up has made."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from jobs.process.collector import freeze_startup_objects


class Version:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_dropped_version_is_collected_soon_beside_much_that_stays() -> None:
    start_up = [[number] for number in range(1_000_000)]
    freeze_startup_objects()
    version = Version()
    gone = weakref.ref(version)
    gc.collect(1)  # by now it is as old as a version that has served
    del version
    for _ in range(100):
        work = [[number] for number in range(3_000)]
        del work
    assert gone() is None
    assert start_up
