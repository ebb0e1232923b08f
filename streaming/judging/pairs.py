"""Events that both versions of a rollout were given, by the shadow topic: the candidate told from the champion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from schemas.shadow_prediction import PairedAnswer, ShadowPrediction
from streaming.clock import instant
from streaming.models.ref import ModelKey
from streaming.quality.tables import TIME, tables

CHAMPION_SIDE, CANDIDATE_SIDE = "champion", "candidate"
_ANSWER = {"prediction": pa.float64(), "label": pa.string(), "probability": pa.list_(pa.float64())}
PAIRS = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("event_id", pa.string()),
        ("key", pa.binary()),
        ("event_time", TIME),
        ("epoch", pa.int64()),
        ("role", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("champion_version", pa.int64()),
        ("candidate_version", pa.int64()),
        *((f"{side}_{name}", kind) for side in (CHAMPION_SIDE, CANDIDATE_SIDE) for name, kind in _ANSWER.items()),
    ]
)
"""An event that both versions have answered. ``partition`` and ``offset`` are the event's on the input topic."""


@dataclass(frozen=True)
class JudgedPair:
    """One event with both answers; ``key`` is its Kafka key."""

    record: ShadowPrediction
    key: bytes | None
    champion: PairedAnswer
    candidate: PairedAnswer

    @property
    def identity(self) -> bytes:
        """The key, or the event's id where it has none: what an error is counted once for."""
        return self.record.event_id.encode() if self.key is None else self.key

    @property
    def failed(self) -> tuple[bool, bool]:
        """The failures: of the champion to score the event, and of the candidate."""
        return self.champion.prediction is None, self.candidate.prediction is None


def pair_of(record: ShadowPrediction, key: bytes | None, candidate: ModelKey) -> JudgedPair | None:
    """Tell the candidate's answer from the champion's; ``None`` where the candidate has not exactly one of both."""
    served, shadow = record.served, record.shadow
    is_served, is_shadow = (ModelKey(each.model, each.version) == candidate for each in (served, shadow))
    if is_served == is_shadow:
        return None
    champion, answer = (shadow, served) if is_served else (served, shadow)
    return JudgedPair(record, key, champion, answer)


def pair_tables(pairs: Iterable[JudgedPair]) -> Iterator[pa.Table]:
    """Yield tables of :data:`PAIRS`, of the events that both versions have answered."""
    return tables((_row(pair) for pair in pairs if not any(pair.failed)), PAIRS)


def side_of(pairs: pa.Table, side: str) -> pa.Table:
    """Return one version's answers as predictions, with the columns that labels are attached by."""
    columns = {name: pairs[name] for name in ("event_id", "key", "event_time")}
    return pa.table({**columns, **{name: pairs[f"{side}_{name}"] for name in _ANSWER}})


def _row(pair: JudgedPair) -> dict[str, Any]:
    record = pair.record
    row: dict[str, Any] = {
        "prediction_id": record.prediction_id,
        "event_id": record.event_id,
        "key": pair.key,
        "event_time": instant(record.event_time),
        "epoch": record.weight_epoch,
        "role": record.role.value,
        "partition": record.source_partition,
        "offset": record.source_offset,
        "champion_version": pair.champion.version,
        "candidate_version": pair.candidate.version,
    }
    for side, answer in ((CHAMPION_SIDE, pair.champion), (CANDIDATE_SIDE, pair.candidate)):
        row[f"{side}_prediction"], row[f"{side}_label"] = answer.prediction, answer.label
        # A probability that is no number makes the others meaningless.
        is_whole = answer.probability is not None and None not in answer.probability
        row[f"{side}_probability"] = answer.probability if is_whole else None
    return row
