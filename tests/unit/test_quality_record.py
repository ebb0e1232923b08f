"""The record on the quality topic keeps its contract and is read back as it was written."""

from __future__ import annotations

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from schemas.quality import QualityRecord, VersionQuality
from streaming.backtest.answers import AnswerKind
from streaming.quality.figures import METRICS
from tests.support.labels import label, of_day, predicted

CONTRACT = json.loads((Path(__file__).resolve().parents[2] / "schemas" / "contracts" / "quality.json").read_text())


def record(quality: VersionQuality) -> QualityRecord:
    return QualityRecord(
        application="penstock",
        model="flights",
        start="2013-06-01T00:00:00.000Z",
        end="2013-06-02T00:00:00.000Z",
        horizon_seconds=86_400,
        slice_column="carrier",
        quality=quality,
    )


def kinds() -> list[VersionQuality]:
    """A version of each kind, with slices, an estimate and metrics that are not defined."""
    two = [predicted(n, float(n % 2), [0.4, 0.6], slice="UA") for n in range(4)]
    three = [predicted(n, 2.0, [0.2, 0.3, 0.5]) for n in range(2)]
    numbers = [predicted(n, 2.5) for n in range(2)]
    labels = [label(0, "1"), label(1, "1")]
    return [of_day(events, labels, slice_column="carrier")[0] for events in (two, three, numbers)]


def test_a_record_of_every_kind_keeps_its_contract_and_is_read_back_as_it_was() -> None:
    for quality in kinds():
        data = json.loads(record(quality).to_json())
        Draft202012Validator(CONTRACT).validate(data)
        assert QualityRecord.from_dict(data) == record(quality)
        assert set(data) == set(CONTRACT["properties"])


def test_the_contract_lists_the_kinds_and_metrics_that_there_are() -> None:
    names = CONTRACT["$defs"]["metrics"]["items"]["properties"]["name"]["enum"]
    assert set(names) == {metric.name for metrics in METRICS.values() for metric in metrics}
    assert CONTRACT["properties"]["kind"]["enum"] == [kind.value for kind in AnswerKind]


def test_the_id_names_window_version_and_role() -> None:
    assert record(kinds()[0]).id == "penstock:flights:1:champion:2013-06-01T00:00:00.000Z:2013-06-02T00:00:00.000Z"
