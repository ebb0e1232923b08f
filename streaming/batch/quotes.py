"""Where a row of CSV ends, by RFC 4180: a line break inside quotes belongs to the field.

A file is looked at line by line. Only a line that ends inside quotes is joined with those that follow, so that what is
not CSV by the rules spoils as few rows as can be:

- A row that breaks the rules is one record, from its first line to the line in which that is seen.
- A quote that is never closed, or not within :data:`MOST_BYTES`, leaves its line a record by itself. What follows is
  read as if that line were not there.

A record that breaks the rules never matches :data:`ROW`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator

MOST_BYTES = 1024 * 1024
"""The longest row over several lines."""

ROW = r'\A(?:"[^"]*+(?:""[^"]*+)*+"|[^",]*+)(?:,(?:"[^"]*+(?:""[^"]*+)*+"|[^",]*+))*+\z'
"""A whole row, for Java. Every part is possessive: the matcher goes along the text in loops, and only once."""

_QUOTED = rb'[^"]*(?:""[^"]*)*'
_FIELD = rb'(?:"' + _QUOTED + rb'"|[^",]*)'
_OPENS = re.compile(rb"(?:" + _FIELD + rb',)*"' + _QUOTED)
"""A line that begins outside quotes and ends inside."""
_STAYS_OPEN = re.compile(_QUOTED + rb'(?:"(?:,' + _FIELD + rb')*,"' + _QUOTED + rb")?")
"""A line that begins inside quotes and ends inside, be it those of another field."""


def joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield records of the lines, which have their line breaks; blank lines between records are left out.

    >>> list(joined([b'1,"a\r\n', b'b"\r\n', b'2,"c\n']))
    [b'1,"a\r\nb"', b'2,"c']
    """
    source, waiting = iter(lines), deque[bytes]()
    while (line := _next(waiting, source)) is not None:
        # A line that ends inside has an odd number of quotes, and to count them is far quicker than to look at them.
        if not line.count(b'"') % 2 or not _OPENS.fullmatch(line):
            if line.strip():
                yield _bare(line)
            continue
        parts = [line, *_continuation(len(line), waiting, source)]
        if _is_open(parts):
            waiting.extendleft(reversed(parts[1:]))
            parts = parts[:1]
        yield _bare(b"".join(parts))


def _continuation(size: int, waiting: deque[bytes], source: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines up to the one that closes the quotes, or is too much."""
    while size <= MOST_BYTES and (line := _next(waiting, source)) is not None:
        size += len(line)
        yield line
        if not _stays_open(line):
            return


def _is_open(parts: list[bytes]) -> bool:
    return len(parts) == 1 or _stays_open(parts[-1])


def _stays_open(line: bytes) -> bool:
    return not line.count(b'"') % 2 and _STAYS_OPEN.fullmatch(line) is not None


def _next(waiting: deque[bytes], source: Iterator[bytes]) -> bytes | None:
    return waiting.popleft() if waiting else next(source, None)


def _bare(record: bytes) -> bytes:
    return record.removesuffix(b"\n").removesuffix(b"\r")
