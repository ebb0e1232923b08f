"""A version's key: the number alone says nothing where a job has several models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import CandidateRefusedError
from streaming.models.heritage import Heritage
from streaming.models.last_good import LastGoodFile
from streaming.models.package import ModelPackage
from streaming.models.ref import ModelKey, ModelVersion
from streaming.models.signature import Signature
from streaming.models.slot import Slot
from streaming.outputs.read_back import Output, Stored
from tests.support.versions import CHAMPION, fake_served, flights

SAME_NUMBER = ModelKey("hotels", 2)
RECORD = Stored("out", 0, 0, (), b"{}")

keys = st.builds(ModelKey, st.text(max_size=3), st.integers(1, 20))


def test_it_prints_name_and_number() -> None:
    assert str(ModelVersion("fraud model", 12, "run").key) == "fraud model/12"


@given(st.lists(keys))
def test_versions_are_in_the_order_of_their_numbers_within_each_model(several: list[ModelKey]) -> None:
    assert sorted(several) == sorted(several, key=lambda key: (key.name, key.version))


def in_the_slot(key: ModelKey) -> bool:
    slot, root = Slot(frozenset({flights(2)})), Path("model")
    package = ModelPackage(ModelVersion(key.name, key.version), root, root, "0" * 64, Signature(()))
    try:
        slot.swap(fake_served(package))
    except CandidateRefusedError:
        return True
    return False


def among_the_heritage(key: ModelKey) -> bool:
    event = {"type": "hold", "application": "app", "selector": "s", "from_version": 1, "to_version": 2}
    return key in Heritage.of([{**event, "model": "flights"}], "app", "s").held


def as_the_maker_of_an_output(key: ModelKey) -> bool:
    return Output("prediction", RECORD, ("features", 0, 7), "app", 2, "flights").may_be_of(key)


@pytest.mark.parametrize("knows", [in_the_slot, among_the_heritage, as_the_maker_of_an_output])
def test_another_model_s_version_of_the_same_number_is_not_taken_for_it(knows: Callable[[ModelKey], bool]) -> None:
    assert (knows(flights(2)), knows(SAME_NUMBER)) == (True, False)


def test_a_dead_letter_which_names_no_model_may_be_of_any() -> None:
    letter = Output("dead letter", RECORD, ("features", 0, 7), "app", 2)
    assert letter.may_be_of(SAME_NUMBER)
    assert not letter.may_be_of(flights(3))


def test_what_served_last_is_saved_by_numbers_as_earlier_releases_read_it(tmp_path: Path) -> None:
    file = LastGoodFile(tmp_path / "app.last_good.json", CHAMPION)
    file.save(flights(1), "a" * 64, frozenset())
    file.save(flights(2), "b" * 64, frozenset({flights(9), flights(4)}))
    saved: dict[str, Any] = json.loads((tmp_path / "app.last_good.json").read_text())
    assert saved == {
        "selector": "flights@champion",
        "version": 2,
        "digest": "b" * 64,
        "held": [4, 9],
        "earlier": [[1, "a" * 64]],
    }
    assert list(file.load().served) == [(flights(2), "b" * 64), (flights(1), "a" * 64)]
    assert file.load().held == (flights(4), flights(9))
