"""What was refused and when it is worth another look, so that a broken version is announced once, not at every poll."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from streaming.errors import (
    BrokerUnavailableError,
    CandidateRefusedError,
    ModelNotFoundError,
    RegistryUnavailableError,
)
from streaming.models.digest import DIGEST_TAG
from streaming.models.ref import ModelVersion
from streaming.refusal_codes import RefusalCode

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=5)

_Fingerprint = tuple[str, int, str | None, str]


@dataclass(frozen=True)
class Refused:
    """The candidate may not serve; ``news`` is false when the same refusal was returned before."""

    version: ModelVersion
    reason: RefusalCode
    detail: str
    news: bool


@dataclass(frozen=True)
class _Refusal:
    reason: RefusalCode
    again_at: datetime | None
    pause: timedelta


class Refusals:
    """Remembers refusals by name, number, digest tag and status; a change in any of them is a new chance."""

    def __init__(self) -> None:
        self._known: dict[_Fingerprint, _Refusal] = {}

    def due(self, version: ModelVersion, now: datetime) -> bool:
        """Return whether the version may be tried: never refused, or its pause is over."""
        refusal = self._known.get(_fingerprint(version))
        return refusal is None or (refusal.again_at is not None and now >= refusal.again_at)

    def refuse(self, version: ModelVersion, problem: Exception, now: datetime) -> Refused:
        """Remember what a version's checks raised; what is unexpected goes to the log with its stack trace."""
        refusal = _refusal(version, problem)
        news = self.record(version, refusal.reason, now)
        return Refused(version, refusal.reason, refusal.detail, news)

    def record(self, version: ModelVersion, reason: RefusalCode, now: datetime) -> bool:
        """Remember a refusal; returns whether it is news, not the repetition of the last one."""
        refusal = self._known.get(_fingerprint(version))
        pause = min(refusal.pause * 2, LONGEST_PAUSE) if refusal else FIRST_PAUSE
        again_at = now + pause if reason.retried else None
        self._known[_fingerprint(version)] = _Refusal(reason, again_at, pause)
        return refusal is None or refusal.reason is not reason

    def forget(self, version: ModelVersion) -> None:
        """The version passed."""
        self._known.pop(_fingerprint(version), None)


def _refusal(version: ModelVersion, problem: Exception) -> CandidateRefusedError:
    if isinstance(problem, CandidateRefusedError):
        return problem
    if isinstance(problem, RegistryUnavailableError | ModelNotFoundError):
        return CandidateRefusedError(RefusalCode.DOWNLOAD_FAILED, str(problem))
    if isinstance(problem, BrokerUnavailableError):
        return CandidateRefusedError(RefusalCode.TOPIC_UNREADABLE, str(problem))
    _log.error("candidate failed unexpectedly", model=version.name, version=version.version, exc_info=problem)
    return CandidateRefusedError(RefusalCode.LOAD_FAILED, f"{type(problem).__name__}: {problem}")


def _fingerprint(version: ModelVersion) -> _Fingerprint:
    return version.name, version.version, version.tags.get(DIGEST_TAG), version.status
