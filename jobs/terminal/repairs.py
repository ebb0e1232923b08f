"""The result of a repair as sentences, for the verbs that repair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

_MOST_LINES = 20


def show_sentences(sentences: Iterable[str]) -> None:
    """Print sentences, each on a line that the terminal may wrap."""
    console = Console()
    for sentence in sentences:
        console.print(Text(sentence), soft_wrap=True)


def range_sentences(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each range that a repair covers, then those that the topic no longer has."""
    yield from _lines(result["ranges"])
    if result["removed"]:
        yield f"{result['topic']} no longer has these offsets, so their answers stay as they are:"
        yield from _lines(result["removed"])


def _lines(ranges: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for answered in ranges[:_MOST_LINES]:
        details = [f"{answered['events']:,} events"] if "events" in answered else []
        details += [f"weight epoch {answered['weight_epoch']}"] if "weight_epoch" in answered else []
        # JSON has the end as the next offset; people read the last one.
        offsets = f"  partition {answered['partition']}, offsets {answered['start']:,} to {answered['end'] - 1:,}"
        yield ": ".join([offsets, ", ".join(details)] if details else [offsets])
    if len(ranges) > _MOST_LINES:
        yield f"  and {len(ranges) - _MOST_LINES:,} more ranges; --json has all"
