"""The circuit of a version: when it opens, when one batch may try again, and what that decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streaming.models.circuits import Circuit, CircuitPolicy, CircuitState
from streaming.testing import ManualClock

POLICY = CircuitPolicy(open_after=3, pause_seconds=60)


def test_it_opens_after_so_many_failed_batches_running() -> None:
    circuit = Circuit(POLICY, ManualClock())
    for _ in range(2):
        circuit.failed("THREW")
    circuit.succeeded()
    for expected in (True, True, False):
        circuit.failed("TOO_SLOW")
        assert circuit.admits() is expected
    assert (circuit.state, circuit.reason) == (CircuitState.OPEN, "TOO_SLOW")


def test_after_the_pause_one_batch_decides() -> None:
    clock = ManualClock()
    circuit = Circuit(CircuitPolicy(1, 60), clock)
    for then, after in ((circuit.succeeded, CircuitState.CLOSED), (lambda: circuit.failed("THREW"), CircuitState.OPEN)):
        circuit.failed("THREW")
        clock.advance(59.9)
        assert not circuit.admits()
        clock.advance(0.1)
        assert circuit.admits()
        assert circuit.state is CircuitState.HALF_OPEN
        then()
        assert circuit.state is after


steps = st.lists(st.tuples(st.sampled_from(["ask", "fail", "succeed"]), st.integers(0, 90)), max_size=40)


@given(steps, st.integers(1, 4))
def test_it_is_open_exactly_while_the_pause_after_the_failure_that_opened_it_lasts(
    batches: list[tuple[str, int]], open_after: int
) -> None:
    clock = ManualClock()
    circuit = Circuit(CircuitPolicy(open_after, 60), clock)
    running, opened_at, on_trial = 0, None, False
    for what, seconds in batches:
        clock.advance(seconds)
        if opened_at is not None and (clock() - opened_at).total_seconds() >= 60 and circuit.admits():
            opened_at, on_trial = None, True
        assert circuit.admits() is (opened_at is None)
        # The engine asks no version whose circuit is open, so that it can neither fail nor succeed.
        if opened_at is not None or what == "ask":
            continue
        if what == "succeed":
            circuit.succeeded()
            running, on_trial = 0, False
        else:
            circuit.failed("THREW")
            running += 1
            if running >= open_after or on_trial:
                opened_at, on_trial = clock(), False
