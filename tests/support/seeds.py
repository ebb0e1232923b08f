"""Long tables of cases: ``make test`` tries some of them, its seeds, and ``make test-long`` the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pytest


def with_seeds(cases: Mapping[str, Any], seeds: Collection[str]) -> list[Any]:
    """Return cases as a test's parameters, named by their keys; those that are no seeds are long."""
    unknown = set(seeds) - set(cases)
    assert not unknown, f"no such cases: {unknown}"
    return [
        pytest.param(case, id=name, marks=() if name in seeds else pytest.mark.long) for name, case in cases.items()
    ]


def names_with_seeds(names: Iterable[str], seeds: Collection[str]) -> list[Any]:
    """Return the names of cases as a test's parameters, in the same way."""
    return with_seeds({name: name for name in names}, seeds)
