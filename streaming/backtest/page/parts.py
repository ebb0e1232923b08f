"""Parts that several sections use: figures, the sides' keys, tables of counts."""

from __future__ import annotations

from collections.abc import Sequence

from streaming.backtest.bootstrap import Measured
from streaming.backtest.options import Names
from streaming.backtest.tables import Counts
from streaming.page.markup import Element, tag
from streaming.words import share

MOST_CLASSES = 30
"""Larger tables are left to ``report.json``."""
MOST_BESIDE = 4
"""Classes of a table that shares the page's width with another one."""


def keys(names: Names) -> Element:
    """Return which mark is which side's."""
    return tag("span", key("recorded", f"╌ ○ {names.recorded}"), " and ", key("candidate", f"━ ● {names.candidate}"))


def meaning(measured: Measured, positive: str) -> str:
    """Return what a metric says, in words."""
    less = "" if measured.metric.higher_is_better else "; less is better"
    return measured.metric.meaning.format(positive=positive) + less


def key(side: str, name: str) -> Element:
    """Return a side's name in its colour."""
    return tag("span", name, class_=f"key {side}")


def count_table(counts: Counts, classes: Sequence[str], sides: tuple[str, str], side: str) -> Element:
    """Return counts by two classes, with each row's shares; ``sides`` name the rows' and the columns' side."""
    head = tag("tr", tag("th", f"{sides[0]} ↓  {sides[1]} →"), [tag("th", name) for name in classes])
    rows = [
        tag("tr", tag("th", name), [_count(count, sum(row)) for count in row])
        for name, row in zip(classes, counts, strict=True)
    ]
    table = tag("table", tag("thead", head), tag("tbody", rows), class_=f"of-{side}")
    return tag("div", table, class_="wide")


def _count(count: int, total: int) -> Element:
    part = count / total if total else 0.0
    percentage = tag("small", share(part) if total else "")
    return tag("td", f"{count:,}", percentage, class_="count", style=f"--share:{part:.3f}")
