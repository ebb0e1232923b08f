"""The choice between kept and fresh plans, by the settings and by the internals of this Spark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import structlog

from streaming.engines.fresh import FreshProgram
from streaming.engines.prepared import KeptProgram
from streaming.engines.program import BatchProgram
from streaming.engines.task import WriteTarget
from streaming.operations.health import Health
from streaming.operations.listener import EventListener, ProgressCallback, ProgressListener
from streaming.settings import EngineSettings
from streaming.spark.symbols import Moved

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
Planning = Literal["kept", "fresh"]


def planning_for(engine: EngineSettings, moved: Callable[[], Sequence[Moved]], health: Health) -> Planning:
    """Return how batches are planned; where ``auto`` has to do without kept plans, log and health say so.

    Args:
        engine: says what is wanted.
        moved: gives the internals that kept plans need and that are not as expected; asked for ``auto`` alone.
        health: takes the note.
    """
    if engine.plan != "auto":
        return engine.plan
    symbols = [str(symbol) for symbol in moved()] if engine.kind == "exact" else []
    if not symbols:
        return "kept"
    _log.warning("each batch is planned anew, as Spark's internals are not as expected", moved=symbols)
    health.note(
        "each batch is planned anew, which is slower (engine.plan fresh): Spark's internals are not as expected:"
        f" {symbols[0]}{f' and {len(symbols) - 1} more' if symbols[1:] else ''}"
    )
    return "fresh"


def program_of(planning: Planning, target: WriteTarget) -> BatchProgram:
    """Return what runs the batches."""
    return KeptProgram(target) if planning == "kept" else FreshProgram(target)


def listener_for(planning: Planning, query: str, callback: ProgressCallback) -> EventListener:
    """Return what tells ``callback`` how the query of that name fares."""
    return (ProgressListener if planning == "kept" else EventListener)(query, callback)
