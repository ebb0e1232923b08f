"""A page as a browser would read it, and what all pages promise."""

from __future__ import annotations

from html.parser import HTMLParser

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&lt;\x1b[2J\u202e]]>--><style>*{}</style>"


class Page(HTMLParser):
    """What a browser would make of it: the elements, their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]


def assert_self_contained(html: str) -> None:
    """It is well formed, loads nothing and runs nothing."""
    result = Page(html)
    assert result.open == []
    assert {tag for tag, _ in result.elements}.isdisjoint({"script", "link", "img", "iframe", "object", "use", "image"})
    names = {name for _, attributes in result.elements for name in attributes}
    assert names.isdisjoint({"src", "href", "xlink:href", "srcset", "action"})
    assert not [name for name in names if name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert "default-src 'none'" in html
    assert "nan" not in {word for _, attributes in result.elements for word in attributes.values()}


def assert_plots_have_titles(html: str) -> None:
    """Those who cannot see a plot are told what it shows."""
    result = Page(html)
    plots = [position for position, (tag, _) in enumerate(result.elements) if tag == "svg"]
    assert all(result.elements[position][1]["role"] == "img" for position in plots)
    assert all(result.elements[position + 1][0] == "title" for position in plots)
