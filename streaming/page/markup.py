"""HTML and SVG as a tree. Text only gets in as text, so nothing that an event holds can become markup."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

Element = ElementTree.Element
Child = Element | str | None | Iterable["Child"]
"""An element, a text, nothing, or several of these."""


def tag(name: str, /, *children: Child, **attributes: object) -> Element:
    """Return an element. ``class_`` and ``stroke_width`` become ``class`` and ``stroke-width``.

    >>> rendered(tag("p", "<b>", tag("i", "x"), class_="a"))
    '<p class="a">&lt;b&gt;<i>x</i></p>'
    """
    names = {key.rstrip("_").replace("_", "-"): _attribute(value) for key, value in attributes.items()}
    element = Element(name, names)
    _add(element, children)
    return element


def rendered(element: Element) -> str:
    """Return the element as HTML."""
    return ElementTree.tostring(element, encoding="unicode", method="html")


def visible(text: str) -> str:
    r"""Return text in which a character that cannot be seen, or turns the direction of others, is spelled out.

    >>> visible("a\x1b[2J")
    'a\\x1b[2J'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def _add(element: Element, children: Iterable[Child]) -> None:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Element):
            element.append(child)
        elif isinstance(child, str):
            _add_text(element, visible(child))
        else:
            _add(element, child)


def _add_text(element: Element, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text


def _attribute(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else visible(str(value))
