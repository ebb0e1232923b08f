"""Passing news on to those who listen: what troubles one neither stops the job nor keeps the next from hearing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import structlog

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class News(Protocol):
    """A model event, a drift alert: a record with a ``type`` among its fields."""

    def to_dict(self) -> Mapping[str, object]:
        """Return the fields as JSON has them."""
        ...

    def to_json(self) -> str:
        """Return the record's value."""
        ...


T = TypeVar("T", bound=News)
T_contra = TypeVar("T_contra", bound=News, contravariant=True)


class Sink(Protocol[T_contra]):
    """Takes news of one kind, or of every kind."""

    def send(self, news: T_contra, /) -> None:
        """Take one. What it raises is logged and stops nothing."""
        ...


def deliver(news: T, sinks: Sequence[Sink[T]]) -> None:
    """Send news to each sink."""
    for sink in sinks:
        try:
            sink.send(news)
        except Exception:
            _log.exception("news was not delivered", sink=type(sink).__name__, type=news.to_dict()["type"])
