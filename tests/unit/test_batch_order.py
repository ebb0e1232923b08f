"""What an order comes to on the disk, before anything is started."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.verbs.batch.options import BatchOptions, Paths, resolve
from streaming.batch.staging import folder_of
from streaming.errors import ConfigurationError
from streaming.settings import BatchSettings, ModelSettings, Settings

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def order(tmp_path: Path) -> BatchOptions:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv.gz").touch()
    return BatchOptions(str(tmp_path / "in"), str(tmp_path / "out.json"))


def resolved(order: BatchOptions, **changes: Any) -> Paths:
    return resolve(replace(order, **changes), lambda: NOON)


def test_suffixes_decide_unless_something_else_is_said(order: BatchOptions, tmp_path: Path) -> None:
    result = resolved(order)
    assert (result.format, result.out_format) == ("csv", "json")
    assert result.targets.rejected == tmp_path / "out.rejected.json"
    result = resolved(
        order, format="json", out_format="csv", target=str(tmp_path / "scored"), rejected=str(tmp_path / "x")
    )
    assert (result.format, result.out_format, result.targets.rejected) == ("json", "csv", tmp_path / "x")
    assert resolved(order, target=str(tmp_path / "scored")).out_format == "parquet"


def test_a_new_batch_is_named_by_its_time_and_an_unfinished_one_is_gone_on_with(order: BatchOptions) -> None:
    first, second = resolved(order).batch, resolved(order).batch
    assert first.startswith("20240501T120000-")
    assert first != second
    folder_of(Path(order.target), first).mkdir()
    assert resolved(order).batch == first
    assert resolved(order, name="mine").batch == "mine"
    folder_of(Path(order.target), second).mkdir()
    with pytest.raises(ConfigurationError, match=f"--name: .*{max(first, second)}"):
        resolved(order)


def test_the_encoding_of_csv_is_of_the_order_and_of_its_plan(order: BatchOptions) -> None:
    result = resolved(order, encoding="Latin-1")
    assert result.encoding == "iso8859-1"
    assert result.options(order, Settings(model=ModelSettings(name="tiny")))["--encoding"] == "iso8859-1"
    assert resolved(order).encoding == "utf-8"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param("b.jsonl", '[\n{"a": 1},\n{"a": 2}\n]', r"b\.jsonl looks like a JSON array", id="a JSON array"),
        pytest.param("10:00.parquet", "", r"10:00\.parquet has a colon .* to 10-00\.parquet", id="a colon"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(
    name: str, text: str, message: str, order: BatchOptions, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / name).write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        resolved(order, source=str(tmp_path / "other"))


def test_a_delta_table_is_refused_with_what_to_do(order: BatchOptions, tmp_path: Path) -> None:
    (tmp_path / "in" / "_delta_log").mkdir()
    with pytest.raises(ConfigurationError, match="write its current version to Parquet first"):
        resolved(order)
    assert resolved(order, format="csv").format == "csv"


def test_what_is_there_is_not_replaced_unasked(order: BatchOptions) -> None:
    Path(order.target).mkdir()
    with pytest.raises(ConfigurationError, match="--overwrite"):
        resolved(order)
    assert resolved(order, overwrite=True).targets.overwrite


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, "m/Production"), ({"alias": "a"}, "m@a"), ({"model_version": 3}, "m#3")],
    ids=["the settings'", "an alias", "a number"],
)
def test_a_version_may_be_asked_for(changes: dict[str, Any], expected: str, order: BatchOptions) -> None:
    settings = Settings(model=ModelSettings(name="m", stage="Production"))
    assert str(replace(order, **changes).selector(settings)) == expected


@pytest.mark.parametrize(
    "risk", [{"low": 0.1, "high": 0.5}, {"low": 0.0, "none": 0.0}, {"low": 0.0, "high": 1.5}], ids=str
)
def test_categories_of_risk_must_cover_every_probability_once(risk: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="risk"):
        BatchSettings(risk=risk)
    assert BatchSettings(risk={}).risk == {}
