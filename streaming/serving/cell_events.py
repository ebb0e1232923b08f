"""Tables of other protocols as events: each cell keeps the bytes that it has in the body, and the decoder judges it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

NULL = b"null"


def table_events(names: Sequence[str], rows: Iterator[Sequence[bytes]]) -> list[bytes]:
    """Return a JSON object for each row of JSON values.

    Args:
        names: of the columns.
        rows: a value for each of them.
    """
    heads = [msgspec.json.encode(name) + b":" for name in names]
    return [b"{%b}" % b",".join(map(b"".join, zip(heads, row, strict=True))) for row in rows]


def column_events(columns: Mapping[str, Sequence[bytes]]) -> list[bytes]:
    """Return a JSON object for each row of columns that are equally long."""
    return table_events([*columns], zip(*columns.values(), strict=True))
