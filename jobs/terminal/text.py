"""Bytes of a stream as text that a terminal may be shown."""

from __future__ import annotations


def text_of(data: bytes | None) -> str:
    r"""Return bytes on one line: as text where it is printable UTF-8, else as hex.

    >>> text_of(b"N1"), text_of(b"\xff\x00"), text_of(None)
    ('N1', '0xff00', 'null')
    """
    if data is None:
        return "null"
    text = printable(data)
    return f"0x{data.hex()}" if text is None else text


def printable(data: bytes, also: str = "") -> str | None:
    """Decode what a terminal may be shown: control characters could do anything to it."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in also for char in text) else None
