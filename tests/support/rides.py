"""A small labelled table that is nothing like the flights: what a user's own training data may look like."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random

import pandas as pd

from streaming.settings import TrainSettings

START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def rides(rows: int = 400, seed: int = 1) -> pd.DataFrame:
    """Return rides one minute apart; long ones in the rain tend to be cancelled. Humidity is missing now and then."""
    random = Random(seed)
    table = []
    for number in range(rows):
        km, rain = round(random.uniform(1, 20), 2), random.random() < 0.4
        table.append(
            {
                "ride": f"r{number}",
                "at": START + timedelta(minutes=number),
                "km": km,
                "seats": random.randint(1, 4),
                "humidity": None if number % 7 == 0 else round(random.uniform(20, 100), 1),
                "city": random.choice(["Basel", "Bern", "Chur"]),
                "sky": "rain" if rain else "sun",
                "cancelled": int(random.random() < (0.15 + 0.03 * km if rain else 0.05)),
            }
        )
    return pd.DataFrame(table)


def ride_settings(**changes: object) -> TrainSettings:
    """Return the settings that train on :func:`rides`."""
    given: dict[str, object] = {
        "label": "cancelled",
        "event_time": "at",
        "event_id": "ride",
        "key": None,
        "numeric": ("km", "seats", "humidity"),
        "categorical": ("city", "sky"),
    }
    return TrainSettings.model_validate(given | changes)
