"""Differences between two versions on the same events, added up by day: what the judge of a rollout needs to know.

Sums of parts of a topic, in any order, add up to the same days, so a verdict can be computed again from the topics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streaming.errors import DataError
from streaming.statistics.arrays import Floats, Ints

_MICROSECONDS = 86_400_000_000
SMALLEST_PROBABILITY = 0.01
"""Probabilities are clipped to it and to one less it, so that no event decides by itself."""


@dataclass(frozen=True)
class DaySums:
    """The number of events and the sum of their differences, for each day.

    ``day`` counts from 1970-01-01 UTC and ascends; ``events`` and ``total`` are as long.
    """

    day: Ints
    events: Ints
    total: Floats

    @property
    def means(self) -> Floats:
        """The mean difference of each day."""
        return self.total / self.events

    def before(self, day: int) -> DaySums:
        """Return the days before ``day``. Only those that are over and whose labels are all due may decide."""
        mature = self.day < day
        return DaySums(self.day[mature], self.events[mature], self.total[mature])

    def merged(self, other: DaySums) -> DaySums:
        """Return the sums of both parts."""
        return _by_day(
            np.concatenate((self.day, other.day)),
            np.concatenate((self.events, other.events)),
            np.concatenate((self.total, other.total)),
        )


def day_sums(event_times: Ints, differences: Floats) -> DaySums:
    """Add up differences by the UTC day of their events.

    Args:
        event_times: in microseconds since 1970-01-01 UTC.
        differences: candidate minus champion, above zero where the candidate was worse; as many as times.

    Raises:
        DataError: a difference is not a finite number, or there are not as many of either.
    """
    if len(event_times) != len(differences):
        raise DataError(f"{len(event_times)} event times came with {len(differences)} differences; give one of each")
    if wrong := int(np.count_nonzero(~np.isfinite(differences))):
        raise DataError(
            f"{wrong} of {len(differences)} differences are not finite; leave out events without both scores"
        )
    return _by_day(event_times // _MICROSECONDS, np.ones(len(event_times), np.int64), differences)


def log_loss_differences(happened: Floats, champion: Floats, candidate: Floats) -> Floats:
    """Return the log loss of the candidate minus the champion's, for each event.

    Args:
        happened: 1 where the event was positive, else 0.
        champion: its probabilities that it would be; clipped to 0.01 and 0.99, so that no event decides by itself.
        candidate: the candidate's.
    """
    return _log_loss(happened, candidate) - _log_loss(happened, champion)


def _log_loss(happened: Floats, probability: Floats) -> Floats:
    clipped = np.clip(probability, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return np.asarray(-np.log(np.where(happened > 0, clipped, 1 - clipped)), np.float64)


def _by_day(day: Ints, events: Ints, total: Floats) -> DaySums:
    days, which = np.unique(day, return_inverse=True)
    counts = np.bincount(which, events, len(days)).astype(np.int64)
    return DaySums(days.astype(np.int64), counts, np.bincount(which, total, len(days)).astype(np.float64))
