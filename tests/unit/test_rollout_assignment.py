"""The same key is always of the same arm, by itself and in a batch, and other salts are other assignments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from scipy import stats

from streaming.errors import ConfigurationError, DataError
from streaming.rollout.assignment import ArmAssignment, point_of, points_of
from streaming.rollout.intervals import ALL_CHAMPION, CHAMPION, POINTS, ArmIntervals
from tests.support.backtests import unhurried

CONTRACT = Path(__file__).resolve().parents[2] / "schemas" / "contracts" / "rollout_assignment.json"
VECTORS: list[dict[str, Any]] = json.loads(CONTRACT.read_text())["examples"]
KEYS = pa.array([f"N{number}EV" for number in range(100_000)])
IDS = pa.array([f"event-{number}" for number in range(len(KEYS))])
FIVE = ALL_CHAMPION.changed_to({"candidate": 0.05})
THREE = ALL_CHAMPION.changed_to({"a": 0.02, "b": 0.1}).changed_to({"a": 0.25, "b": 0.1, "c": 0.4})

keys = st.one_of(st.none(), st.binary(max_size=80))
ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
salts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


def arms(salt: str, intervals: ArmIntervals) -> np.ndarray[Any, Any]:
    """The arm of each of the keys."""
    return np.array(ArmAssignment(salt, intervals).arms_of(KEYS, IDS).to_pylist())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['key']} of {vector['salt']}")
def test_the_test_vectors_hold(vector: dict[str, Any]) -> None:
    Draft202012Validator(json.loads(CONTRACT.read_text())).validate(vector)
    key = None if vector["key"] is None else bytes.fromhex(vector["key"])
    intervals = vector["intervals"]
    assignment = ArmAssignment(
        vector["salt"], ArmIntervals(tuple(i["arm"] for i in intervals), tuple(i["end"] for i in intervals))
    )
    assert point_of(vector["salt"], key, vector["event_id"]) == vector["point"]
    assert assignment.arm_of(key, vector["event_id"]) == vector["arm"]


@unhurried
@given(salt=salts, events=st.lists(st.tuples(keys, ids), max_size=30))
def test_a_batch_has_the_arms_of_its_events(salt: str, events: list[tuple[bytes | None, str]]) -> None:
    assignment = ArmAssignment(salt, THREE)
    batch = [
        pa.array([event[0] for event in events], pa.binary()),
        pa.array([event[1] for event in events], pa.string()),
    ]
    assert points_of(salt, *batch).tolist() == [point_of(salt, *event) for event in events]
    assert assignment.arms_of(*batch).to_pylist() == [assignment.arm_of(*event) for event in events]


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(pa.array(["N1", None, "ö", "N1"]), id="strings"),
        pytest.param(pa.array(["N1", None, "ö", "N1"], pa.large_string()), id="long strings"),
        pytest.param(pa.chunked_array([["N1", None], ["ö", "N1"]]), id="chunks"),
        pytest.param(pa.array(["x", "N1", None, "ö", "N1"])[1:], id="a slice"),
    ],
)
def test_keys_may_come_in_any_form(array: pa.Array | pa.ChunkedArray) -> None:
    points = points_of("s", array, pa.array(["e0", "e1", "e2", "e3"]))
    assert points.tolist() == [point_of("s", key, "e1") for key in (b"N1", None, "ö".encode(), b"N1")]


@given(salt=salts, key=keys, one=ids, other=ids)
def test_an_event_with_a_key_is_assigned_by_nothing_else(salt: str, key: bytes | None, one: str, other: str) -> None:
    by_key = point_of(salt, key, one) == point_of(salt, key, other)
    assert by_key == (key is not None or one == other)


def test_growing_from_5_to_25_percent_moves_a_fifth_of_the_keys_and_none_back() -> None:
    before, after = (arms("s", ALL_CHAMPION.changed_to({"candidate": share})) for share in (0.05, 0.25))
    assert set(after[before == "candidate"]) == {"candidate"}
    assert np.mean(before != after) == pytest.approx(0.2, abs=0.005)


@pytest.mark.parametrize("salt", ["s", "flights-7", "ö"])
def test_arms_have_their_shares_within_the_binomial_interval(salt: str) -> None:
    result = arms(salt, THREE)
    for arm in ("a", "b", "c", CHAMPION):
        low, high = stats.binom.interval(0.999, len(KEYS), THREE.points(arm) / POINTS)
        assert low <= np.count_nonzero(result == arm) <= high


def test_keys_that_differ_little_are_spread_evenly() -> None:
    counts, _ = np.histogram(points_of("s", KEYS, IDS), bins=64, range=(0, POINTS))
    assert stats.chisquare(counts).pvalue > 0.001


def test_another_salt_is_an_independent_assignment() -> None:
    first, second = (arms(salt, FIVE) == "candidate" for salt in ("flights-7", "flights-8"))
    low, high = stats.binom.interval(0.999, len(KEYS), 0.05**2)
    assert low <= np.count_nonzero(first & second) <= high


def test_a_salt_and_a_key_cannot_be_taken_for_another_pair() -> None:
    assert len({point_of(salt, key, "e") for salt, key in (("ab", b"c"), ("a", b"bc"), ("abc", b""))}) == 3


@pytest.mark.parametrize("salt", [pytest.param("", id="empty"), pytest.param("a\0b", id="with a zero character")])
def test_a_salt_that_could_run_into_a_key_is_refused(salt: str) -> None:
    with pytest.raises(ConfigurationError, match="salt"):
        ArmAssignment(salt, ALL_CHAMPION)


def test_an_event_with_neither_key_nor_id_is_named() -> None:
    with pytest.raises(DataError, match="row 1"):
        points_of("s", pa.array(["N1", None]), pa.array(["e0", None]))


def test_keys_without_their_ids_are_refused() -> None:
    with pytest.raises(DataError, match="2 keys came with 1 event ids"):
        points_of("s", pa.array(["N1", None]), pa.array(["e0"]))
