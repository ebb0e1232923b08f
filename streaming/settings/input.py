"""The section ``input``: where feature events come from."""

from __future__ import annotations

from typing import Literal

from streaming.settings.base import Positive, Section, Topic


class InputSettings(Section):
    """The input topic, and how much of it one batch takes."""

    topic: Topic = "features"
    starting: Literal["earliest", "latest"] = "earliest"
    """Where a first run starts; afterwards the committed marks decide."""
    on_gap: Literal["fail", "skip"] = "fail"
    """What to do when records were deleted before they were scored: stop and name them, or record them in the ledger as
    skipped and go on behind them."""
    max_rows_per_batch: Positive = 200_000
    max_bytes_per_batch: Positive = 256 * 1024 * 1024
    """Turned into rows by the mean size of recent records; a partition's transaction is also cut by bytes."""
    max_value_bytes: Positive = 1024 * 1024
    """A longer value is dead-lettered as ``OVERSIZE`` before it is parsed."""
