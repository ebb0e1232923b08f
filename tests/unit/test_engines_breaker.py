"""The circuit breaker: when it trips, what it says, and that stopping is never blocked by it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.delivery.outcome import Outcome
from streaming.engines.breaker import BadShare, Bounds, Breaker
from streaming.testing import ManualClock
from tests.support.eventually import eventually

BOUNDS = Bounds(share=0.5, seconds=60, rows=100)
GOOD, BAD = Outcome(predictions=100), Outcome(dead_letters={"MALFORMED_JSON": 90, "OVERSIZE": 20})

steps = st.tuples(
    st.floats(0, 40, allow_nan=False).map(lambda seconds: round(seconds, 3)), st.integers(0, 80), st.integers(0, 80)
)


@dataclass
class Told:
    """A listener that remembers."""

    words: list[str] = field(default_factory=list)

    def paused(self, why: str) -> None:
        self.words.append(why)

    def resumed(self) -> None:
        self.words.append("resumed")


@given(st.lists(steps, max_size=30), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_it_trips_if_and_only_if_enough_rows_of_the_window_are_bad(
    batches: list[tuple[float, int, int]], share: float
) -> None:
    clock = ManualClock()
    window = BadShare(Bounds(share, 60, 100), clock)
    seen = []
    for pause, good, bad in batches:
        clock.advance(pause)
        tripped = window.add(Outcome(good, {"WRONG_TYPE": bad}, skipped=1_000))
        seen.append((clock(), good, bad))
        recent = [(g, b) for at, g, b in seen if (clock() - at).total_seconds() < 60]
        rows, letters = sum(g + b for g, b in recent), sum(b for _, b in recent)
        assert bool(tripped) == (rows >= 100 and letters > share * rows)


def test_what_it_says_names_counts_reasons_and_the_remedy() -> None:
    why = BadShare(BOUNDS, ManualClock()).add(BAD)
    for words in ("110 of the last 110 rows", "MALFORMED_JSON 90, OVERSIZE 20", "penstock dlq list", "penstock resume"):
        assert words in why


def test_a_pause_is_told_once_and_ends_with_resume_and_an_empty_window() -> None:
    reported = Told()
    breaker = Breaker(BOUNDS, ManualClock(), [reported])
    assert not breaker.resume()
    breaker.batch_finished(BAD)
    breaker.batch_finished(BAD)
    assert len(reported.words) == 1
    assert breaker.resume()
    assert reported.words[1:] == ["resumed"]
    breaker.batch_finished(GOOD)
    breaker.wait(threading.Event())
    assert len(reported.words) == 2


@pytest.mark.parametrize("how", ["resumed", "asked to stop"])
def test_a_batch_waits_while_it_is_paused_until_somebody(how: str) -> None:
    breaker, stopping = Breaker(BOUNDS, ManualClock()), threading.Event()
    breaker.batch_finished(BAD)
    thread = threading.Thread(target=breaker.wait, args=[stopping], daemon=True)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    breaker.resume() if how == "resumed" else stopping.set()
    eventually(lambda: not thread.is_alive())
