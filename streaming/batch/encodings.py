"""In which encoding text files are."""

from __future__ import annotations

import codecs

from streaming.batch.files import Format
from streaming.batch.text import UTF_8
from streaming.errors import ConfigurationError

_PROBE = bytes(set(range(128)) - {ord("\\")}) + b'\\x41 \x1b$B$"\x1b(B.xn--mnchen-3ya'
"""All of ASCII, and what other encodings read as escapes."""


def text_encoding(name: str, kind: Format) -> str:
    """Return the encoding that somebody gave as ``--encoding`` for files of ``kind``, as Python names it.

    >>> text_encoding("UTF8", "csv"), text_encoding("Latin-1", "csv")
    ('utf-8', 'iso8859-1')

    Raises:
        ConfigurationError: the encoding is unknown, it cannot be read by lines, or the format has one of its own.
    """
    try:
        encoding = codecs.lookup(name).name
    except LookupError:
        raise ConfigurationError(f"--encoding {name} is not known; names are like latin-1, cp1252, shift_jis") from None
    if encoding != UTF_8 and kind != "csv":
        why = "JSON is UTF-8 by its standard" if kind == "json" else "Parquet says itself how its text is written"
        raise ConfigurationError(f"--encoding is for CSV files; {why}. Leave it out, or write the files as UTF-8 first")
    if not _has_ascii(encoding):
        raise ConfigurationError(
            f"--encoding {name} cannot be read by lines; write the files as UTF-8 first, as iconv does"
        )
    return encoding


def _has_ascii(encoding: str) -> bool:
    """Return whether line breaks, quotes and commas are the bytes that they are in ASCII, and no others."""
    try:
        return _PROBE.decode(encoding) == _PROBE.decode("ascii")
    except (UnicodeError, LookupError):
        return False
