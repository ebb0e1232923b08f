"""How ``penstock fallback repair`` shows what it has done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.terminal.repairs import range_sentences, show_sentences


def show_repair(result: Mapping[str, Any]) -> None:
    """Print what was corrected, and which answers can no longer be corrected."""
    show_sentences(repair_sentences(result))


def repair_sentences(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a repair's result in sentences."""
    topic, champion = result["topic"], result["champion"]
    answered = f"{result['events']:,} events of {topic} were answered by the fallback chain"
    if result["dry_run"]:
        yield f"{answered}; {champion} would score them again."
    elif result["events"] and not result["offsets"]:
        yield f"{answered}. An earlier run has corrected them; nothing was written."
    else:
        yield f"{answered}. {champion} has corrected {result['predictions']:,} in {result['seconds']} s."
    yield from range_sentences(result)
