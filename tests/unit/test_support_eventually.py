from __future__ import annotations

import pytest

from tests.support.eventually import eventually


def test_it_returns_the_first_true_value() -> None:
    values = iter([0, None, "", "found"])
    assert eventually(lambda: next(values), every=0) == "found"


def test_it_tells_the_last_failure() -> None:
    def check() -> bool:
        raise AssertionError("three of four")

    with pytest.raises(AssertionError, match="still failing: three of four"):
        eventually(check, timeout=0.05, every=0.01)


def test_it_does_not_wait_for_a_bug_to_pass() -> None:
    def check() -> bool:
        raise KeyError("typo")

    with pytest.raises(KeyError):
        eventually(check, timeout=60)
