"""The last section: how it is decided, and what it cannot see."""

from __future__ import annotations

from collections.abc import Iterator

from streaming.page.markup import Element, tag
from streaming.page.parts import section


def method() -> Element:
    """Return the method in a few words."""
    return section("How this is decided, and what it cannot see", list(_paragraphs()))


def _paragraphs() -> Iterator[Element]:
    yield tag(
        "p",
        "Each window of events is compared with the reference profile that was made at training, column by column, on"
        " counts in the same bins. Each column has a test for its level and one for its shape. Further tests look at"
        " nulls, values that are not finite, categories that training did not have, and numbers beyond its range. The"
        " tests allow for the rows of the window, for the differences between windows of the reference, and for the"
        " number of columns. When nothing has moved, the chance that a window signals is at most drift.chance, 1%"
        " by default.",
    )
    yield tag(
        "p",
        "A first signal is a warning. Drift begins after drift.enter windows in a row with a signal and is over after"
        " drift.leave windows in a row without one. A column's p-value combines all its tests and is corrected for the"
        " number of columns.",
    )
    yield tag(
        "p",
        "The size of a movement says nothing about its certainty. It is the stability index without the part that"
        " chance adds: below 0.1 is small, from 0.1 moderate, from 0.25 large. The axis shows square roots, so a shift"
        " twice as large stands twice as high.",
    )
    yield tag(
        "ul",
        tag("li", "A movement inside a bin is not seen, nor is one that is too small for the number of rows."),
        tag("li", "Columns are tested one by one. A change in how two columns depend on each other does not show."),
        tag(
            "li",
            "Drift does not mean that the predictions are worse. Only labels tell: ",
            tag("code", "penstock replay --compare"),
            ".",
        ),
        tag("li", "A model can become wrong without drift, if the same inputs come to mean something else."),
    )
