"""What the demonstration found out, computed from what was published and what was read; no Kafka in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import quantiles

import pandas as pd

from streaming.accounting.account import Account
from streaming.accounting.records import Place
from streaming.statistics.ranking import auc

WARM_UP_SECONDS = 15.0


@dataclass(frozen=True)
class Seen:
    """One prediction as read: where its event was, when it was read (epoch s), and what it says."""

    position: Place
    read_at: float
    version: int
    event_id: str
    prediction: float
    probability: float
    """The probability of being late, between 0 and 1."""


@dataclass(frozen=True)
class Label:
    """A flight's outcome and when it became known."""

    late: bool
    known_at: datetime


@dataclass(frozen=True)
class Quality:
    """One version's predictions: how many, how many of them have a label by now, and the share that was right.

    ``baseline`` is the share that always saying "on time" would have got right, ``auc`` how well late flights are told
    from the others: the chance that a late one gets the higher probability (0.5 is guessing).
    """

    predictions: int
    labelled: int
    accuracy: float
    baseline: float
    auc: float


@dataclass(frozen=True)
class Latency:
    """Seconds from publishing to reading, over ``count`` predictions."""

    count: int
    p50: float
    p99: float


@dataclass(frozen=True)
class Swap:
    """The alias moved from one version to another; ``seconds`` until the first prediction of the new one was read.

    ``waiting`` is how long the publisher stood still because the new version was not ready yet, in seconds.
    """

    before: int
    after: int
    seconds: float
    rate: int
    waiting: float


@dataclass(frozen=True)
class Results:
    """Everything that the report shows."""

    account: Account
    reasons: Mapping[str, int]
    throughput: float
    steady: Latency
    training: Latency
    swap: Swap
    versions: Mapping[int, Quality]
    seconds: float


def latencies(
    published: Mapping[Place, float], predictions: Sequence[Seen], training: tuple[float, float]
) -> tuple[Latency, Latency]:
    """Return the latency in the steady phase, and that while the next version was trained on the same processors.

    The steady phase begins :data:`WARM_UP_SECONDS` after the first event and leaves out ``training`` (epoch seconds).
    """
    begin = min(published.values(), default=0.0) + WARM_UP_SECONDS
    steady: list[float] = []
    busy: list[float] = []
    for seen in predictions:
        sent = published.get(seen.position)
        if sent is not None and sent >= begin:
            (busy if training[0] <= seen.read_at <= training[1] else steady).append(seen.read_at - sent)
    return _latency(steady), _latency(busy)


def _latency(seconds: list[float]) -> Latency:
    if len(seconds) < 2:
        return Latency(len(seconds), float("nan"), float("nan"))
    cuts = quantiles(seconds, n=100, method="inclusive")
    return Latency(len(seconds), cuts[49], cuts[98])


def quality(predictions: Sequence[Seen], labels: Mapping[str, Label], now: datetime) -> dict[int, Quality]:
    """Return each version's quality by the labels known at ``now``, in the stream's time."""
    versions = sorted({seen.version for seen in predictions})
    return {v: _quality([seen for seen in predictions if seen.version == v], labels, now) for v in versions}


def _quality(predictions: Sequence[Seen], labels: Mapping[str, Label], now: datetime) -> Quality:
    judged = [
        (seen.prediction == 1.0, seen.probability, label.late)
        for seen in predictions
        if (label := labels.get(seen.event_id)) is not None and label.known_at <= now
    ]
    if not judged:
        return Quality(
            predictions=len(predictions), labelled=0, accuracy=float("nan"), baseline=float("nan"), auc=float("nan")
        )
    table = pd.DataFrame(judged, columns=["said_late", "probability", "late"])
    return Quality(
        predictions=len(predictions),
        labelled=len(judged),
        accuracy=float((table["said_late"] == table["late"]).mean()),
        baseline=float((~table["late"]).mean()),
        auc=auc(table["probability"].to_numpy(), table["late"].to_numpy()),
    )
