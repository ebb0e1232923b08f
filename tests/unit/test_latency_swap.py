"""A swap's silence is what the swap does, not the pause at the boundary that it waits for."""

from __future__ import annotations

import time

import pytest

from benchmarks.latency.swap import silence_ms

MILLISECOND = 1_000_000


@pytest.mark.parametrize(
    ("begins", "lasts_ms", "counts"),
    [
        pytest.param(-8.0, 650, False, id="the boundary before"),
        pytest.param(-3.0, 70, True, id="while both run"),
        pytest.param(0.5, 70, True, id="after the older one has stopped"),
        pytest.param(5.0, 650, False, id="the younger one's first boundary"),
    ],
)
def test_only_what_is_silent_around_a_handover_counts(begins: float, lasts_ms: int, counts: bool) -> None:
    now = time.monotonic()
    start = round((now + begins) * 1e9)
    quiet = [(start, start + lasts_ms * MILLISECOND)]
    handover = {"at": time.time(), "seconds": 4.0}
    assert silence_ms(quiet, [handover]) == (float(lasts_ms) if counts else None)
    assert silence_ms(quiet, []) is None
