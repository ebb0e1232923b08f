"""Classes by name. Each version numbers its classes in its own way, so only names can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

Meaning = Mapping[tuple[str, int], tuple[str, ...]]
"""The classes' names by side and version, in the order of that version's probabilities."""

_ALIASES = {"1": ("true", "1.0"), "0": ("false", "0.0"), "true": ("1", "1.0"), "false": ("0", "0.0")}


@dataclass(frozen=True)
class Used:
    """What one version of a side has said: ``names`` by class number as far as seen, of ``width`` classes."""

    names: Mapping[int, str]
    width: int
    named: bool
    """True if the model has names for its classes; otherwise the number is the name."""


def used(prediction: pd.Series[float], label: pd.Series[str], width: int) -> Used:
    """Read from a version's predictions what its class numbers mean.

    >>> used(pd.Series([1.0, 1.0]), pd.Series(["late", "late"]), 2).names
    {1: 'late'}
    """
    pairs = pd.DataFrame({"number": prediction, "name": label}).drop_duplicates()
    named = bool(pairs["name"].notna().any())
    names = {int(number): str(name) if named else str(int(number)) for number, name in pairs.itertuples(index=False)}
    return Used(names, max(width, *(number + 1 for number in names)), named)


def meaning(versions: Mapping[tuple[str, int], Used], truths: Iterable[str]) -> Meaning:
    """Name every class of every version.

    A class that a version never predicted is named as other versions do, then by what remains of the true labels if
    that is a single one, else by its number.
    """
    common: dict[int, str] = {}
    for version in versions.values():
        for number, name in version.names.items():
            common.setdefault(number, name)
    return {key: _named(version, common, set(truths)) for key, version in versions.items()}


def _named(version: Used, common: Mapping[int, str], truths: set[str]) -> tuple[str, ...]:
    if not version.named:
        return tuple(str(number) for number in range(version.width))
    names = dict(version.names)
    for number in range(version.width):
        if number not in names and number in common and common[number] not in names.values():
            names[number] = common[number]
    open_numbers = [number for number in range(version.width) if number not in names]
    unknown = truths - set(names.values())
    if len(open_numbers) == len(unknown) == 1:
        names[open_numbers[0]] = unknown.pop()
    return tuple(names.get(number, f"class {number}") for number in range(version.width))


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return distinct names sorted, numbers by their size.

    >>> in_order(["10", "2", "2"])
    ('2', '10')
    """
    distinct = set(names)
    numeric = all(name.isdecimal() for name in distinct)
    return tuple(sorted(distinct, key=int if numeric else str))


def matched(truths: Iterable[str], classes: Iterable[str]) -> dict[str, str]:
    """Return each true label with the class it means: 1, 1.0 and true are one label.

    >>> matched(["true", "maybe"], ["0", "1"])
    {'true': '1', 'maybe': 'maybe'}
    """
    names = set(classes)
    return {
        truth: next(
            (name for name in (truth, *_ALIASES.get(truth, ()), truth.removesuffix(".0")) if name in names), truth
        )
        for truth in truths
    }
