"""How ``penstock fallback repair`` shows what it has done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

_MOST_LINES = 20


def show_repair(result: Mapping[str, Any]) -> None:
    """Print what was corrected, and what is gone."""
    console = Console()
    for sentence in repair_sentences(result):
        console.print(Text(sentence), soft_wrap=True)


def repair_sentences(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a repair's result in sentences, with the first ranges of offsets, whose ends are left out."""
    topic, champion = result["topic"], result["champion"]
    answered = f"{result['events']:,} events of {topic} were answered by the fallback chain"
    if result["dry_run"]:
        yield f"{answered}; {champion} would score them again."
    elif result["events"] and not result["offsets"]:
        yield f"{answered}. An earlier run has corrected them; nothing was written."
    else:
        yield f"{answered}. {champion} has corrected {result['predictions']:,} in {result['seconds']} s."
    yield from _lines(result["ranges"])
    if result["removed"]:
        yield f"{topic} has these offsets no more, and what was answered there stays as it is:"
        yield from _lines(result["removed"])


def _lines(ranges: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for each in ranges[:_MOST_LINES]:
        yield f"  partition {each['partition']}, offsets {each['start']} to {each['end']}"
    if len(ranges) > _MOST_LINES:
        yield f"  and {len(ranges) - _MOST_LINES:,} more ranges; --json has all"
