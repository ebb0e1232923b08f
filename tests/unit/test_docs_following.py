"""The page on following the registry lists exactly the codes of refusals that the code gives."""

from __future__ import annotations

import re
from pathlib import Path

from streaming.refusal_codes import RefusalCode

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "following-the-registry.md").read_text()
ROWS = re.findall(r"^\| `([A-Z_]+)`( \*)? \| (.*?) \|", PAGE, re.MULTILINE)
USED = re.compile(r"RefusalCode\.([A-Z_]+)")


def test_the_table_lists_every_code_with_its_meaning_and_whether_it_is_tried_again() -> None:
    assert [(code.name, " *" if code.retried else "", code.meaning) for code in RefusalCode] == ROWS


def test_every_code_is_given_by_some_check() -> None:
    used = {code for file in (ROOT / "streaming").rglob("*.py") for code in USED.findall(file.read_text())}
    assert used == {code.name for code in RefusalCode}
