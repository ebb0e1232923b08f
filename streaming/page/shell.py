"""The frame of a whole page: its head, its own and the common style, and a policy that forbids it everything else."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from streaming.page.markup import Child, rendered, tag

_STYLE = Path(__file__).with_name("style.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, style: Path, *body: Child) -> str:
    """Return the page's HTML. It loads nothing and runs nothing, and tells the browser to see to that.

    Args:
        title: Of the browser's tab.
        style: The page's own rules, which come after those of all pages.
        body: What is shown.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", title),
        tag("style", _rules(_STYLE) + _rules(style)),
    )
    return "<!doctype html>\n" + rendered(tag("html", head, tag("body", body), lang="en")) + "\n"


def write_html(html: str, path: Path) -> None:
    """Write a page's HTML; its folder is made if need be. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, "utf-8")


@lru_cache(maxsize=8)
def _rules(path: Path) -> str:
    return path.read_text("utf-8")
