"""Which encodings text files may be in."""

from __future__ import annotations

import pytest

from streaming.batch.encodings import text_encoding
from streaming.batch.files import Format
from streaming.errors import ConfigurationError


@pytest.mark.parametrize(("name", "python"), [("Latin-1", "iso8859-1"), ("cp1252", "cp1252"), ("GB18030", "gb18030")])
def test_an_encoding_in_which_ascii_is_ascii_is_taken(name: str, python: str) -> None:
    assert text_encoding(name, "csv") == python


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_utf_8_is_taken_for_every_format(kind: Format) -> None:
    assert text_encoding("UTF8", kind) == "utf-8"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("latin1000", "csv", "is not known"),
        *(
            (name, "csv", "cannot be read by lines")
            for name in ("utf-16", "cp037", "utf-7", "iso2022_jp", "hz", "idna")
        ),
        *((name, "csv", "cannot be read by lines") for name in ("unicode_escape", "rot13", "base64", "punycode")),
        ("latin-1", "json", "JSON is UTF-8"),
        ("latin-1", "parquet", "is for CSV files"),
    ],
)
def test_any_other_is_refused(name: str, kind: Format, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        text_encoding(name, kind)
