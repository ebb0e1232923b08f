"""The plan of a replay, kept with its output, so that the same command continues it and another is refused.

The end of a topic moves, and so does an alias: both are looked up once, when the replay begins.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streaming.errors import ConfigurationError
from streaming.ledger.arms import PlannedArms
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.replay.chunks import Segment, Segments
from streaming.whole_file import write_whole

Words = Mapping[str, str]


@dataclass(frozen=True)
class ReplayPlan:
    """``asked`` is what the command said, in words."""

    asked: Words
    segments: Segments

    @property
    def identity(self) -> str:
        """The id of this replay and no other: twelve hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as it is written."""
        segments = {str(p): [_fields(segment) for segment in parts] for p, parts in self.segments.items()}
        return {"asked": dict(self.asked), "segments": segments}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> ReplayPlan:
        """Read a plan back."""
        segments = {int(p): [_segment(*parts) for parts in parts_list] for p, parts_list in saved["segments"].items()}
        return cls(saved["asked"], segments)


def settled(path: Path, asked: Words, decide: Callable[[], Segments]) -> ReplayPlan:
    """Return the plan at ``path``, or decide what to replay and write it there.

    Raises:
        ConfigurationError: the plan there was for something else.
    """
    if not path.exists():
        plan = ReplayPlan(asked, decide())
        write_whole(path, json.dumps(plan.to_dict()).encode())
        return plan
    plan = ReplayPlan.from_dict(json.loads(path.read_text("utf-8")))
    changed = sorted(name for name in {*asked, *plan.asked} if asked.get(name) != plan.asked.get(name))
    if changed:
        differences = "; ".join(f"{name} was {plan.asked.get(name)!r} and is {asked.get(name)!r}" for name in changed)
        raise ConfigurationError(
            f"{path} belongs to another replay: {differences}. Choose another --name, or another folder"
        )
    return plan


def _fields(segment: Segment) -> list[Any]:
    part, by = segment.part, segment.by
    if by.assignment is not None or by.weights is not None or by.lookup is not None:
        return [part.start, part.end, by.to_dict()]
    version = by.champion.version
    return [part.start, part.end, version.name, version.version, version.run_id, by.champion.role]


def _segment(start: int, end: int, *by: Any) -> Segment:
    part = OffsetRange(start, end)
    if len(by) == 1:
        return Segment(part, PlannedArms.from_dict(by[0]))
    name, version, run_id, role = by
    return Segment(part, PlannedArms.only(ModelVersion(name, version, run_id), role))
