"""An alert about drift that begins or ends: one record for a window, if there is news.

The same contract for subscribers in any language: ``contracts/drift_alert.json``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from schemas.drift import Window
from streaming.redaction import redact

TYPE = "penstock.drift.alert.v1"


@dataclass(frozen=True)
class DriftAlert:
    """The state of a version after a window, and what is new in it.

    ``state`` and ``before`` are ``stable``, ``warning`` or ``drift``: now, and when people were last told. ``entered``
    and ``left`` are the columns whose drift began or ended, ``drifting`` and ``warned`` all that are in these states
    now. ``severity`` is the largest of the drifting and warned columns, ``sentence`` for people.
    """

    window: Window
    state: str
    before: str
    entered: tuple[str, ...]
    left: tuple[str, ...]
    drifting: tuple[str, ...]
    warned: tuple[str, ...]
    severity: str
    sentence: str

    @property
    def id(self) -> str:
        """The alert's id; an alert that is sent again has the same one."""
        return f"{self.window.id}:alert"

    def to_dict(self) -> dict[str, Any]:
        """Return the record's fields as JSON has them, ``sentence`` without secrets."""
        own = {name: value for name, value in asdict(self).items() if name != "window"}
        lists = {name: list(value) for name, value in own.items() if isinstance(value, tuple)}
        return {
            "type": TYPE,
            "id": self.id,
            **asdict(self.window),
            **own,
            **lists,
            "sentence": redact(self.sentence),
        }

    def to_json(self) -> str:
        """Return the record's value."""
        return json.dumps(self.to_dict(), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DriftAlert:
        """Read a value as JSON has it; raises ``KeyError`` if it is not an alert."""
        return cls(
            Window.from_dict(data),
            state=data["state"],
            before=data["before"],
            entered=tuple(data["entered"]),
            left=tuple(data["left"]),
            drifting=tuple(data["drifting"]),
            warned=tuple(data["warned"]),
            severity=data["severity"],
            sentence=data["sentence"],
        )
