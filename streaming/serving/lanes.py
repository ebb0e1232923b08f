"""Scoring for requests: those that wait at the same moment share a pass, and each gets one version's answers.

A pass over one row costs nearly what a pass over a hundred costs. Nothing waits for others to come: a pass takes what
is there, and while it runs the next one's requests arrive.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, NoReturn, Protocol, TypeVar

from streaming.errors import ModelNotFoundError, ScoringError
from streaming.models.served import ServedModel
from streaming.scoring.searched import searched
from streaming.serving.problems import ProblemError

MOST_ON_THE_LOOP = 256
"""Rows that are scored where requests are read; more would keep other requests waiting."""

T = TypeVar("T")
Score = Callable[[Sequence[bytes]], list[T]]
"""Events to an answer each, in order. It belongs to one thread.

It raises ``ScoringError`` if the model throws on one of several; of one alone it says what becomes of it.
"""
MakeScore = Callable[[ServedModel], Score[T]]


@dataclass(frozen=True)
class Scored(Generic[T]):
    """A request's answers, all by one version."""

    model: ServedModel
    answers: Sequence[T]


@dataclass(frozen=True)
class _Waiting(Generic[T]):
    values: Sequence[bytes]
    deadline: float
    scored: asyncio.Future[Scored[T]]


@dataclass
class _Own(Generic[T]):
    """One thread's scoring function, made for the version that the thread scored with last."""

    make: MakeScore[T]
    model: ServedModel | None = None
    score: Score[T] | None = None

    def __call__(self, model: ServedModel, values: Sequence[bytes]) -> list[T]:
        if self.score is None or self.model is not model:
            self.model, self.score = model, self.make(model)
        return self.score(values)

    def every(self, model: ServedModel, values: Sequence[bytes]) -> list[T]:
        """Score, apart from the others, each event on which the model throws."""
        return searched(partial(self, model), values, _again)


def takes_its_time(model: ServedModel) -> bool:
    """Return whether a version's own code answers, or Spark."""
    return model.choice.kind in ("pyfunc", "spark")


class Leases(Protocol):
    """Says which version answers; :class:`streaming.models.slot.Slot` does, and a fallback chain."""

    def current(self) -> ServedModel | None:
        """Return the version; ``None`` where there is none."""
        ...

    def lease(self) -> AbstractContextManager[ServedModel]:
        """Use it until the block ends; raises ``ModelNotFoundError`` where there is none."""
        ...


@dataclass
class Lane(Generic[T]):
    """Scores events of one kind.

    Attributes:
        slot: says which version answers.
        make: makes what scores by a version; each thread has its own.
        thread: scores what is too much for the loop. One thread, which may be several lanes'.
        seconds: from the call to the start of its pass, at most.
        leaves_loop: says whether what answers now may take its time, so that other requests shall not wait for it.
        clock: seconds from any moment on.
    """

    slot: Leases
    make: MakeScore[T]
    thread: ThreadPoolExecutor
    seconds: float
    leaves_loop: Callable[[ServedModel], bool] = takes_its_time
    clock: Callable[[], float] = time.monotonic
    _waiting: list[_Waiting[T]] = field(default_factory=list)
    _behind: list[_Waiting[T]] = field(default_factory=list)
    """Requests that the thread is to answer, in the place of the loop."""
    _is_behind: bool = False

    def __post_init__(self) -> None:
        """Begin without a version."""
        self._on_the_loop = _Own(self.make)
        self._in_the_thread = _Own(self.make)

    async def score(self, values: Sequence[bytes]) -> Scored[T]:
        """Return the answers to events.

        Raises:
            ProblemError: 503; no version is loaded, or the events waited for too long.
        """
        if not values:
            with self._leased() as model:
                return Scored(model, [])
        if len(values) > MOST_ON_THE_LOOP:
            return await self._apart(values)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(values, self.clock() + self.seconds, loop.create_future())
        if self._leaves_loop():
            self._leave([waiting])
            return await waiting.scored
        if not self._waiting:
            # Whatever else was read from sockets in this turn of the loop is added before the next one.
            loop.call_soon(self._run)
        self._waiting.append(waiting)
        return await waiting.scored

    def takes_its_time(self, model: ServedModel, values: Sequence[bytes]) -> bool:
        """Return whether a version scores events beside the loop, where they can be given up."""
        return len(values) > MOST_ON_THE_LOOP or self.leaves_loop(model)

    def _leaves_loop(self) -> bool:
        model = self.slot.current()
        return model is not None and self.leaves_loop(model)

    async def _apart(self, values: Sequence[bytes]) -> Scored[T]:
        scored = asyncio.get_running_loop().run_in_executor(self.thread, self._searched, values)
        try:
            return await asyncio.wait_for(scored, self.seconds)
        except asyncio.TimeoutError:
            raise too_late(self.seconds) from None

    def _leave(self, requests: Sequence[_Waiting[T]]) -> None:
        """Have the thread answer requests in the place of the loop."""
        self._bound(requests)
        self._behind += requests
        self._next_behind()

    def _bound(self, requests: Sequence[_Waiting[T]]) -> None:
        """Answer requests with 503 if the thread has not done it in time: it may hang, which the loop cannot."""
        for request in requests:
            timer = asyncio.get_running_loop().call_later(self.seconds, self._give_up, request)
            request.scored.add_done_callback(partial(_cancel, timer))

    def _give_up(self, request: _Waiting[T]) -> None:
        if not request.scored.done():
            request.scored.set_exception(too_late(self.seconds))

    def _next_behind(self) -> None:
        """Have the thread score what waits for it; what comes meanwhile shares the pass after that."""
        if self._is_behind:
            return
        group, *later = [*self._groups(self._behind)] or [[]]
        self._behind = [request for requests in later for request in requests]
        if not group:
            return
        self._is_behind = True
        values = [value for request in group for value in request.values]
        job = asyncio.get_running_loop().run_in_executor(self.thread, self._searched, values)
        job.add_done_callback(lambda done: self._end_behind(group, done))

    def _end_behind(self, group: Sequence[_Waiting[T]], done: asyncio.Future[Scored[T]]) -> None:
        _hand_out(group, done.exception() or done.result())
        self._is_behind = False
        self._next_behind()

    def _run(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and self._leaves_loop():
            # Another version answers since they came.
            self._leave(waiting)
            return
        for group in self._groups(waiting):
            self._answer(group)

    def _groups(self, waiting: Sequence[_Waiting[T]]) -> Iterator[list[_Waiting[T]]]:
        """Yield the requests that can still be answered in time, in groups of so many events as share a pass."""
        now = self.clock()
        group: list[_Waiting[T]] = []
        rows = 0
        for request in waiting:
            # A future is done where its caller has gone away.
            if request.scored.done():
                continue
            if request.deadline < now:
                self._give_up(request)
                continue
            if group and rows + len(request.values) > MOST_ON_THE_LOOP:
                yield group
                group, rows = [], 0
            group.append(request)
            rows += len(request.values)
        if group:
            yield group

    def _answer(self, group: Sequence[_Waiting[T]]) -> None:
        values = [value for request in group for value in request.values]
        try:
            with self._leased() as model:
                scored = Scored(model, self._on_the_loop(model, values))
        except ScoringError:
            # To find the event may take hundreds of passes, for which no other request shall wait.
            self._bound(group)
            search = asyncio.get_running_loop().run_in_executor(self.thread, self._searched, values)
            search.add_done_callback(lambda done: _hand_out(group, done.exception() or done.result()))
        except Exception as problem:
            _hand_out(group, problem)
        else:
            _hand_out(group, scored)

    def _searched(self, values: Sequence[bytes]) -> Scored[T]:
        with self._leased() as model:
            return Scored(model, self._in_the_thread.every(model, values))

    @contextmanager
    def _leased(self) -> Iterator[ServedModel]:
        try:
            with self.slot.lease() as model:
                yield model
        except ModelNotFoundError as problem:
            raise no_model() from problem


def _again(problem: ScoringError) -> NoReturn:
    raise problem


def _cancel(timer: asyncio.TimerHandle, _: asyncio.Future[Scored[T]]) -> None:
    timer.cancel()


def _hand_out(group: Sequence[_Waiting[T]], scored: Scored[T] | BaseException) -> None:
    """Give each request its part."""
    start = 0
    for request in group:
        end = start + len(request.values)
        if request.scored.done():
            pass
        elif isinstance(scored, BaseException):
            request.scored.set_exception(scored)
        else:
            request.scored.set_result(Scored(scored.model, scored.answers[start:end]))
        start = end


def no_model() -> ProblemError:
    """Return the problem before the first version is loaded."""
    return ProblemError(
        503, "no-model", "no model version is loaded yet; /ready says when one is", headers={"Retry-After": "1"}
    )


def too_late(seconds: float) -> ProblemError:
    """Return the problem of a request that waited for too long."""
    return ProblemError(
        503,
        "timeout",
        f"it was not scored within {seconds:g} s (serve.timeout_seconds); try again, with fewer events or less often",
        headers={"Retry-After": "1"},
    )
