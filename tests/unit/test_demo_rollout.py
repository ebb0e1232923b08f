"""What the demonstration of a rollout publishes: each outcome after its departure, once the stream is that late."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from jobs.demo.rollout_stream import departing
from schemas.label import read_label
from streaming.training import flights

SINCE = datetime(2013, 4, 1, tzinfo=timezone.utc)


def test_outcomes_follow_their_departures_in_the_order_in_which_they_became_known() -> None:
    table = flights.between(SINCE, SINCE + timedelta(days=2))
    published: list[tuple[bytes, int]] = []
    labels: dict[str, int] = {}
    times: list[int] = []
    for departure in departing(table, lambda value, milliseconds: published.append((value, milliseconds))):
        for value, known_at in published[len(labels) :]:
            record = read_label(value)
            assert record is not None
            assert record.event_id is not None
            assert record.event_id not in labels, "each once"
            labels[record.event_id] = known_at
            assert known_at <= departure.timestamp_ms, "not before the stream is that late"
        times.append(departure.timestamp_ms)
    assert times == sorted(times)
    assert list(labels.values()) == sorted(labels.values())
    outcomes = table.dropna(subset="late").set_index("event_id")["late"]
    landed = table.dropna(subset="label_time").set_index("event_id")["label_time"]
    assert labels.keys() == set(landed[landed <= table["event_time"].iloc[-1]].index)
    truths = {record.event_id: record.label for value, _ in published if (record := read_label(value))}
    assert truths == {name: str(int(outcomes[name])) for name in labels}
