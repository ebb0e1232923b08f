"""The benchmark's workloads: every event is complete, and its features are what its signature says."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice

import pandas as pd
import pytest

from benchmarks.latency.generated import OTHER_SEED, SEED, images, mixed
from benchmarks.latency.load import event
from benchmarks.latency.workloads import WORKLOADS, Workload

_KINDS: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "double": (int, float)}


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_an_event_carries_the_features_of_its_signature(workload: Workload) -> None:
    for number, body in enumerate(islice(workload.bodies(), 50)):
        result = json.loads(event(number, body))
        assert result.pop("event_id") == str(number)
        assert result.pop("event_time").endswith("Z")
        assert set(result) == set(workload.signature.names)
        for column in workload.signature.columns:
            value = result[column.name]
            assert isinstance(value, _KINDS[column.type]) or (value is None and not column.required), column


@pytest.mark.parametrize("table", [mixed, images])
def test_a_made_up_table_is_the_same_each_time(table: Callable[[int, int], pd.DataFrame]) -> None:
    pd.testing.assert_frame_equal(table(30, SEED), table(30, SEED))
    assert not table(30, SEED).equals(table(30, OTHER_SEED))
