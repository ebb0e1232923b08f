from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from jobs.demo.events import BROKEN, MAX_VALUE_BYTES, broken_count, messages
from streaming.training import flights

DAY = (datetime(2013, 4, 1, tzinfo=timezone.utc), datetime(2013, 4, 2, tzinfo=timezone.utc))


def a_departure() -> flights.Departure:
    return next(flights.events(flights.between(*DAY)))


def strictly(value: bytes) -> dict[str, object]:
    def refuse(text: str) -> float:
        raise ValueError(text)

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        if len({key for key, _ in items}) < len(items):
            raise ValueError("a key twice")
        return dict(items)

    loaded: dict[str, object] = json.loads(value.decode(), parse_constant=refuse, object_pairs_hook=pairs)
    return loaded


def is_sound(value: bytes | None) -> bool:
    if value is None or len(value) > MAX_VALUE_BYTES:
        return False
    try:
        body = strictly(value)
        datetime.fromisoformat(str(body["event_time"]).replace("Z", "+00:00"))
    except (ValueError, TypeError):
        return False
    return set(flights.FEATURES) <= set(body) and isinstance(body["distance"], int) and body["temp"] != float("inf")


def test_a_departure_is_sound() -> None:
    assert is_sound(a_departure().value)


@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN.keys())
def test_each_fault_makes_a_record_that_is_not_sound(fault: object) -> None:
    assert callable(fault)
    assert not is_sound(fault(a_departure()))


def test_broken_records_are_spread_over_the_stream_and_time_never_runs_back() -> None:
    table = flights.between(*DAY)
    stream = list(messages(table, 100))
    assert len(stream) == len(table) + broken_count(len(table), 100)
    assert [i for i, m in enumerate(stream) if m.note][:3] == [100, 201, 302]
    assert [m.timestamp_ms for m in stream] == sorted(m.timestamp_ms for m in stream)
    assert all(m.note or is_sound(m.value) for m in stream[:500])
