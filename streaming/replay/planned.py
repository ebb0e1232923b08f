"""What a run of the ledger's plans covered: a stretch of the input in the words of those who look at the ledger."""

from __future__ import annotations

from collections.abc import Iterable

from streaming.errors import ConfigurationError
from streaming.ledger.lineage import Record
from streaming.ledger.plan import Plan
from streaming.offsets import OffsetRange


def planned(records: Iterable[Record], source: tuple[str, str], first: str, last: str) -> dict[int, OffsetRange]:
    """Return the offsets that the plans from ``first`` to ``last`` were to score.

    Args:
        records: one application's ledger, oldest first.
        source: the topic and its id; plans of others are left out.
        first: the id of a plan.
        last: the same or a later one.

    Raises:
        ConfigurationError: the ledger has no such plans of this topic, or not in this order.
    """
    ranges: dict[int, OffsetRange] = {}
    begun = False
    for record in records:
        if record["type"] != "plan" or (record["topic"], record["topic_id"]) != source:
            continue
        begun = begun or record["plan"] == first
        if begun:
            _widen(ranges, Plan.from_dict(record))
            if record["plan"] == last:
                return ranges
    missing = f"{last} of {source[0]} after {first}" if begun else f"{first} of {source[0]}"
    raise ConfigurationError(f"the ledger has no plan {missing}; penstock ledger show --type plan lists them")


def _widen(ranges: dict[int, OffsetRange], plan: Plan) -> None:
    for partition, part in plan.ranges.items():
        before = ranges.get(partition, part)
        ranges[partition] = OffsetRange(min(before.start, part.start), max(before.end, part.end))
