"""The whole page."""

from __future__ import annotations

from pathlib import Path

from streaming.backtest.comparison import Comparison
from streaming.backtest.page.markup import rendered, tag

_STYLE = Path(__file__).with_name("style.css")


def page(comparison: Comparison) -> str:
    """Return the page's HTML."""
    names = comparison.names
    body = tag("body", tag("h1", f"{names.candidate} against {names.recorded}"), tag("p", comparison.verdict.sentence))
    return "<!doctype html>\n" + rendered(tag("html", tag("head", tag("meta", charset="utf-8")), body, lang="en"))
