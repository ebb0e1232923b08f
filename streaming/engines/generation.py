"""A generation: one real-time query with the versions it scores with, from the offsets where it began."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from streaming.engines.checkpoint import remove
from streaming.engines.live_arms import LiveArms, LiveVersions
from streaming.engines.real_time import Boundary, QueryHome, Route, last_boundary, start_query
from streaming.errors import ModelNotFoundError, UpstreamError
from streaming.models.slot import Slot


@dataclass
class Generation:
    """Closing it stops the query, then gives the versions back."""

    name: str
    scoring: LiveArms
    starting: Mapping[int, int]
    query: StreamingQuery
    route: Route
    session: SparkSession
    slot: Slot
    open: ExitStack
    _seen: int = -1
    _busy_since: float | None = None

    def boundary(self, wait: float) -> Boundary | None:
        """Wait up to ``wait`` seconds for the query's end, and return the boundary it has passed since the last call.

        Raises:
            StreamingQueryException: the query has failed.
            UpstreamError: somebody stopped it.
        """
        if self.query.awaitTermination(wait):  # type: ignore[arg-type]  # fractions are fine
            raise UpstreamError(f"somebody stopped the query {self.name}")
        boundary = last_boundary(self.query, self.route.topic, self.starting)
        if boundary is None or boundary.batch <= self._seen:
            return None
        self._seen = boundary.batch
        return boundary

    def busy_seconds(self) -> float:
        """Return how long ago all of the query's tasks were first seen running, one for each partition."""
        if self._busy_since is None and self.is_running():
            self._busy_since = time.monotonic()
        return 0.0 if self._busy_since is None else time.monotonic() - self._busy_since

    def is_running(self) -> bool:
        """Return whether all of the query's tasks are running, so not while it plans its next batch."""
        tracker = self.session.sparkContext.statusTracker()
        active = 0
        for job in tracker.getJobIdsForGroup(str(self.query.runId)):
            # Spark may have forgotten a job or a stage since it listed it; it gives None then.
            for stage in getattr(tracker.getJobInfo(job), "stageIds", ()):
                active += getattr(tracker.getStageInfo(stage), "numActiveTasks", 0)
        return active >= len(self.starting)

    def prove(self) -> None:
        """Note that the champion has finished a batch, so that it may be rolled back to."""
        # It may have left the slot already, where another version came before it had finished one.
        with suppress(ModelNotFoundError), self.slot.lease(self.scoring.champion.key):
            pass

    def close(self) -> None:
        """Stop in the middle of whatever it does; what it wrote since its last boundary will be written again."""
        self.open.close()


class Generations:
    """Starts generations. Each has its own checkpoint, which nobody reads: the marks say where to go on."""

    def __init__(self, session: SparkSession, slot: Slot, versions: LiveVersions, route: Route, folder: str) -> None:
        self._session = session
        self._slot = slot
        self._versions = versions
        self._route = route
        self._folder = folder
        self._numbers = itertools.count(1)

    def start(self, starting: Mapping[int, int]) -> Generation:
        """Start a generation with the versions that serve now.

        Raises:
            ModelNotFoundError: none is loaded.
        """
        name = f"{self._route.application}.live.{next(self._numbers)}"
        with ExitStack() as stack:
            scoring = stack.enter_context(self._versions.leased())
            checkpoint = f"{self._folder}/{name}-{time.time_ns()}"
            stack.callback(remove, checkpoint)
            query = start_query(self._session, scoring, self._route, QueryHome(name, checkpoint), starting)
            stack.callback(query.stop)
            resources = stack.pop_all()
        return Generation(
            name=name,
            scoring=scoring,
            starting=starting,
            query=query,
            route=self._route,
            session=self._session,
            slot=self._slot,
            open=resources,
        )
