"""The page on following the registry lists exactly the reasons that the code gives."""

from __future__ import annotations

import re
from pathlib import Path

from streaming.models.refusals import RETRIED

ROOT = Path(__file__).resolve().parents[2]
ROWS = re.findall(r"^\| `([A-Z_]+)`( \*)? \|", (ROOT / "docs" / "following-the-registry.md").read_text(), re.MULTILINE)
RAISED = re.compile(r'(?:CandidateRefusedError\(|_refuse\(version,)\s*"([A-Z_]+)"')


def test_every_reason_is_explained_and_every_explained_reason_is_given() -> None:
    given = {reason for file in (ROOT / "streaming").rglob("*.py") for reason in RAISED.findall(file.read_text())}
    assert [reason for reason, _ in ROWS] == sorted(given)


def test_the_reasons_that_are_tried_again_are_marked() -> None:
    assert {reason for reason, mark in ROWS if mark} == RETRIED
