"""The last section: how it is decided, and what it cannot see."""

from __future__ import annotations

from collections.abc import Iterator

from streaming.page.markup import Element, tag
from streaming.page.parts import section


def method() -> Element:
    """Return the method in a few words."""
    return section("How this is decided, and what it cannot see", list(_words()))


def _words() -> Iterator[Element]:
    yield tag(
        "p",
        "Each window of events is compared with the reference profile that was made at training, column by column, on"
        " the counts of the same bins. For each column there is a test for its level, one for its shape, and one each"
        " for nulls, values that are not finite, categories that the model was not shown and numbers beyond all that"
        " it was shown. They know how many rows a window has, how much windows of the reference differ among"
        " themselves, and how many columns are looked at: when nothing has moved, a window signals with a chance of at"
        " most drift.chance, 1% unless it was set otherwise.",
    )
    yield tag(
        "p",
        "A first signal is a warning; drift needs drift.enter of them running, and is over after drift.leave windows"
        " without one. The p-values are those of all tests of a column together, corrected for the number of columns.",
    )
    yield tag(
        "p",
        "The size is another matter than the certainty. It is the stability index without the part that chance adds:"
        " below 0.1 small, from 0.1 moderate, from 0.25 large. Its axis is one of square roots, so that a shift"
        " twice as large stands twice as high.",
    )
    yield tag(
        "ul",
        tag("li", "A movement inside a bin, or one that is small for so few rows, is not seen."),
        tag("li", "Columns are looked at one by one: if two change only in how they go together, nothing shows here."),
        tag(
            "li",
            "Drift does not say that the predictions are worse. Only labels tell: ",
            tag("code", "penstock replay --compare"),
            ".",
        ),
        tag("li", "And a model may be wrong without any drift, when the same inputs have come to mean something else."),
    )
