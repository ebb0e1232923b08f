"""Answers written to a topic after they were given: the event loop hands them over, and a thread writes them.

Nobody waits for the topic. What does not fit is dropped and counted, so an answer is written at most once.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import structlog

from schemas.dead_letter import Rejection
from streaming.errors import BrokerUnavailableError, PenstockError
from streaming.serving.arms import EventAnswer

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_TOGETHER_SECONDS = 0.2
"""Answers of so long are written together: to read one event takes nearly as long as to read a hundred."""
_MOST_TOGETHER = 2_000
"""Answers."""
_OVERHEAD = 1_000
"""Bytes that an answer takes in memory beside its own and its event's, about."""
_RETRY_SECONDS = 5.0
_LOOK_SECONDS = 1.0


class AnsweredRequest(NamedTuple):
    """A request's events and their answers; ``micros`` are when that was, since 1970."""

    events: Sequence[bytes]
    answers: Sequence[EventAnswer]
    micros: int

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        made = sum(len(answer.value) for answer in self.answers if not isinstance(answer.value, Rejection))
        return made + sum(map(len, self.events)) + _OVERHEAD * len(self.events)


class AnswerSink(Protocol):
    """A writer of answers; only the log's thread uses it. ``adapters/kafka/served.py`` implements it."""

    def write(self, requests: Sequence[AnsweredRequest], /) -> None:
        """Send answers, and count each as written or failed; after an error it has to be opened again."""
        ...

    def look(self) -> bool:
        """Return whether some were written since the last look; raises ``PenstockError`` with why some were not."""
        ...

    def close(self, seconds: float, /) -> None:
        """Wait up to ``seconds`` for what is on its way; what is not written then has failed."""
        ...


class AnswerCounts(Protocol):
    """Counts answers by what has become of them."""

    def answers_logged(self, outcome: str, answers: int, /) -> None:
        """Count ``written`` ones, ``dropped`` ones for which there was no room, and ``failed`` ones."""
        ...

    def logged(self) -> dict[str, int]:
        """Return the counts by outcome."""
        ...


@dataclass
class AnswerLog:
    """Writes answers, between :meth:`start` and :meth:`stop`.

    Attributes:
        open: makes the sink; raises ``PenstockError`` as long as that cannot be.
        counts: is told of each answer.
        max_bytes: of the answers that wait.
        name: of the thread, and in the process's own log.
    """

    open: Callable[[], AnswerSink]
    counts: AnswerCounts
    max_bytes: int
    name: str = "answer-log"
    problem: str = ""
    """Why nothing is written at the moment."""
    _waiting: queue.SimpleQueue[AnsweredRequest] = field(default_factory=queue.SimpleQueue)
    _stopping: threading.Event = field(default_factory=threading.Event)
    # Each is written by one thread alone: by the loop's, and by the log's.
    _added: int = 0
    _taken: int = 0
    _sink: AnswerSink | None = None

    def __post_init__(self) -> None:
        """Make the thread."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Begin to write; a broker that does not answer yet is asked again later.

        Raises:
            ConfigurationError: the answers cannot be written by these settings.
        """
        try:
            self._sink = self.open()
        except BrokerUnavailableError as problem:
            self._note(str(problem))
        self._thread.start()

    def add(self, events: Sequence[bytes], answers: Sequence[EventAnswer]) -> None:
        """Have answers written that were given just now; called by the event loop's thread alone."""
        request = AnsweredRequest(events, answers, time.time_ns() // 1_000)
        size = request.size
        if self.waiting_bytes + size > self.max_bytes:
            self.counts.answers_logged("dropped", len(answers))
            return
        self._added += size
        self._waiting.put(request)

    @property
    def waiting_bytes(self) -> int:
        """The size of the answers that wait."""
        return self._added - self._taken

    def standing(self) -> dict[str, Any]:
        """Return what ``/health`` says of it."""
        return {**self.counts.logged(), "waiting_bytes": self.waiting_bytes, "problem": self.problem or None}

    def stop(self, seconds: float) -> None:
        """Write what waits, for up to ``seconds``, and end; what is left over counts as dropped."""
        self._stopping.set()
        # Wakes the thread.
        self._waiting.put(AnsweredRequest((), (), 0))
        deadline = time.monotonic() + seconds
        self._thread.join(seconds)
        self._drop_waiting()
        if self._sink is not None:
            self._sink.close(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._waiting.empty()):
            # The thread must outlive every surprise, or answers would silently not be written any more.
            try:
                self._round()
            except PenstockError as problem:
                self._troubled(str(problem))
            except Exception as problem:
                _log.exception("answers could not be written")
                self._troubled(repr(problem))

    def _round(self) -> None:
        if self._sink is None:
            self._sink = self.open()
            self.problem = ""
        requests = self._next()
        if requests:
            self._write(self._sink, requests)
        self._look()

    def _look(self) -> None:
        try:
            if self._sink is not None and self._sink.look():
                self.problem = ""
        except PenstockError as problem:
            self._note(str(problem))

    def _write(self, sink: AnswerSink, requests: list[AnsweredRequest]) -> None:
        try:
            sink.write(requests)
        except Exception:
            self._sink = None
            sink.close(0.0)
            raise

    def _next(self) -> list[AnsweredRequest]:
        """Return what waits; the first is waited for, and then others for a moment."""
        try:
            first = self._waiting.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            return []
        self._stopping.wait(_TOGETHER_SECONDS)
        self._taken += first.size
        return [first, *self._drained(_MOST_TOGETHER)]

    def _drained(self, most: int) -> list[AnsweredRequest]:
        requests: list[AnsweredRequest] = []
        answers = 0
        while answers < most:
            try:
                requests.append(self._waiting.get_nowait())
            except queue.Empty:
                break
            answers += len(requests[-1].answers)
            self._taken += requests[-1].size
        return requests

    def _note(self, problem: str) -> None:
        if self.problem != problem:
            _log.warning(
                "answers are not written for now; what does not fit is dropped", log=self.name, problem=problem
            )
        self.problem = problem

    def _troubled(self, problem: str) -> None:
        self._note(problem)
        # While the server stops nothing is waited for: what is left over is counted.
        if self._stopping.wait(_RETRY_SECONDS):
            self._drop_waiting()

    def _drop_waiting(self) -> None:
        while waiting := self._drained(_MOST_TOGETHER):
            self.counts.answers_logged("dropped", _count(waiting))


def _count(requests: Sequence[AnsweredRequest]) -> int:
    return sum(len(request.answers) for request in requests)
