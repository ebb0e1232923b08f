from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from streaming.training import flights

UTC = timezone.utc


def a_day(month: int, day: int) -> list[flights.Departure]:
    start = datetime(2013, month, day, tzinfo=UTC)
    return list(flights.events(flights.between(start, start + timedelta(days=1))))


def test_every_departure_of_the_year_is_an_event_with_its_own_id() -> None:
    table = flights.departures()
    assert len(table) == 336_776
    assert table["event_id"].is_unique
    assert table["event_time"].is_monotonic_increasing


def test_an_events_time_is_its_scheduled_departure_in_new_york() -> None:
    for departure in islice(flights.events(flights.between(datetime(2013, 7, 1, tzinfo=UTC), None)), 500):
        body = json.loads(departure.value)
        local = departure.time.astimezone(ZoneInfo("America/New_York"))
        assert (local.hour, local.minute) == (body["hour"], body["minute"])
        assert departure.event_id.startswith(f"{local:%Y-%m-%d}-")
        assert body["weekday"] == f"{local:%a}"
        assert datetime.fromisoformat(body["event_time"].replace("Z", "+00:00")) == departure.time


def test_an_event_carries_its_envelope_and_what_was_known_at_departure_and_nothing_else() -> None:
    bodies = [json.loads(departure.value) for departure in a_day(2, 8)]
    assert {tuple(body) for body in bodies} == {("event_id", "event_time", *flights.FEATURES)}
    assert set(flights.SIGNATURE.names) == set(flights.FEATURES)


def test_required_columns_are_never_null_and_missing_weather_is_null() -> None:
    table = flights.departures()
    required = [column.name for column in flights.SIGNATURE.columns if column.required]
    assert not table[required].isna().any().any()
    assert any(json.loads(departure.value)["wind_gust"] is None for departure in a_day(1, 2))


def test_a_label_becomes_known_after_departure_and_a_cancelled_flight_has_none() -> None:
    day = a_day(2, 9)  # a blizzard
    assert any(departure.late is None for departure in day)
    for departure in day:
        assert (departure.late is None) == (departure.landed is None)
        assert departure.landed is None or departure.landed > departure.time - timedelta(minutes=30)


@pytest.mark.parametrize(
    ("event_id", "late", "minutes"),
    [
        pytest.param("2013-01-01-UA-1545-EWR", False, 255, id="two time zones away"),
        pytest.param("2013-01-01-AA-1141-JFK", True, 163 + 60, id="33 minutes late"),
    ],
)
def test_the_label_is_known_when_the_flight_reaches_its_gate(event_id: str, late: bool, minutes: int) -> None:
    result = next(departure for departure in a_day(1, 1) if departure.event_id == event_id)
    assert result.late is late
    assert result.landed is not None
    # UA 1545: 05:15 in New York, at the gate 08:30 in Houston. AA 1141: 05:40, at the gate 09:23 in Miami.
    assert result.landed - result.time == timedelta(minutes=minutes)


def test_between_takes_its_start_and_leaves_its_end() -> None:
    times = flights.between(datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 8, 1, tzinfo=UTC))["event_time"]
    assert times.min() == datetime(2013, 4, 1, tzinfo=UTC)
    assert times.max() < datetime(2013, 8, 1, tzinfo=UTC)
