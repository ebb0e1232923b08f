"""The parts of a page that all pages have: sections, figures with what to see in them, the few facts on top."""

from __future__ import annotations

from streaming.page.markup import Child, Element, tag


def section(title: str, *children: Child) -> Element:
    """Return a section under its title."""
    return tag("section", tag("h2", title), children)


def figure(title: str, caption: Child, plot: Child, *, whole: bool = False) -> Element:
    """Return a plot or table under its title and what to see in it; ``whole`` takes all of the page's width."""
    class_ = "across" if whole else ""
    return tag("figure", tag("h3", title) if title else None, tag("figcaption", caption), plot, class_=class_)


def fact(name: str, value: str, more: Child) -> Element:
    """Return one of the few facts on top of a page, to stand in a ``dl`` of class ``facts``."""
    return tag("div", tag("dt", name), tag("dd", value, tag("small", more)))
