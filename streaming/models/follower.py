"""The follower: a thread that keeps the slot at the version the registry names. Polling decides, a webhook wakes it.

Whatever goes wrong, the version that serves goes on serving: a registry that is down, a selector that names nothing any
more, a candidate that fails its checks. Each is announced once.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import structlog

from streaming.errors import (
    CandidateRefusedError,
    ConfigurationError,
    ModelError,
    ModelNotFoundError,
    PenstockError,
    RegistryUnavailableError,
)
from streaming.models.announcer import Announcer
from streaming.models.candidate import Candidates, Outcome, Promoted
from streaming.models.contact import RegistryContact, existence_doubt
from streaming.models.fallback import recalled, serves_still
from streaming.models.heritage import Heritage
from streaming.models.last_good import LastGoodFile
from streaming.models.polling import PollingThread
from streaming.models.ref import ModelKey, ModelSelector
from streaming.models.refusals import Refused
from streaming.models.registry import ModelRegistry
from streaming.models.served import ServedModel
from streaming.refusal_codes import RefusalCode

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_FIRST_TRIES_EVERY = 1.0


@dataclass(frozen=True)
class Following:
    """What to follow and how often, in seconds; a first version must be there ``startup_seconds`` after the start."""

    selector: ModelSelector
    poll_seconds: float = 10.0
    startup_seconds: float = 60.0


class Follower:
    """Polls on a thread of its own between :meth:`start` and :meth:`stop`."""

    def __init__(
        self,
        registry: ModelRegistry,
        following: Following,
        candidates: Candidates,
        announcer: Announcer,
        last_good: LastGoodFile,
    ) -> None:
        self._registry = registry
        self._following = following
        self._candidates = candidates
        self._slot = candidates.slot
        self._slot.release_with(candidates.preparation.release)
        self._announcer = announcer
        self._last_good = last_good
        self._turns = PollingThread(lambda: following.poll_seconds, lambda _: self.poll(), "poll failed unexpectedly")
        self._polling = threading.Lock()
        self._contact = RegistryContact(announcer, self._slot.current)
        self._lost = False

    def load_first(self, stopping: threading.Event | None = None) -> ServedModel | None:
        """Fill the slot: with what the selector names, else with what served before the restart.

        Returns:
            What serves now; ``None`` if ``stopping`` was set before anything did.

        Raises:
            ModelNotFoundError: the selector names nothing, and nothing served before under it.
            CandidateRefusedError: the version it names may not serve, and nothing served before.
            RegistryUnavailableError: the registry stayed silent, and what served before is not in the cache.
        """
        deadline = time.monotonic() + self._following.startup_seconds
        while True:
            problem = self._try_first()
            if isinstance(problem, ServedModel):
                return problem
            if serving := self._recall_last_good(problem):
                return serving
            if isinstance(problem, ModelError) or time.monotonic() >= deadline:
                raise problem
            if (stopping or self._turns.stopping).wait(_FIRST_TRIES_EVERY):
                return None

    def start(self) -> None:
        """Begin to poll."""
        self._turns.start()

    def stop(self, timeout: float = 10.0) -> None:
        """End polling; waits up to ``timeout`` seconds for a candidate that is just being tried."""
        self._turns.end()
        self._turns.join(timeout)

    def wake(self) -> None:
        """Poll now instead of at the next turn; returns at once, and any number of calls make one poll."""
        self._turns.wake()

    def poll(self) -> Outcome | None:
        """Look once, and try what is new; ``None`` if the registry did not answer or the selector names nothing."""
        with self._polling:
            try:
                version = self._registry.resolve(self._following.selector)
            except (RegistryUnavailableError, ConfigurationError) as problem:
                self._contact.unanswered(problem)  # a right that was taken away may be given back: what serves goes on
                return None
            except ModelNotFoundError as problem:
                self._contact.answered()
                self._lose(problem)
                return None
            self._contact.answered()
            self._regain()
            outcome = self._candidates.consider(version, self._registry.download)
            self._tell(outcome)
            return outcome

    def roll_back(self, failed: ModelKey, detail: str) -> ServedModel | None:
        """Serve the last good version because ``failed`` fails in batches; see :meth:`Slot.roll_back`."""
        before = self._slot.current()
        good = self._slot.roll_back(failed)
        if good is not None:
            self._save(good)
            if good is not before:
                self._announcer.rolled_back(failed, good, detail)
        return good

    def hold(self, key: ModelKey, detail: str) -> str:
        """Keep a version from being served, also after a restart; if it serves now, it stays until the next swap.

        Returns:
            What the operator should know beside; empty if there is nothing.

        Raises:
            ModelNotFoundError: the registry has no such version.
        """
        doubt = existence_doubt(self._registry, key)
        self._slot.hold(key)
        serving = self._slot.current()
        if serving is not None:
            self._save(serving)
            if serving.key == key:
                doubt = serves_still(self._last_good.load())
                _log.warning("version on hold serves on until the next swap", version=key.version)
        self._announcer.held(key, serving, detail)
        return doubt

    def inherit(self, heritage: Heritage) -> None:
        """Keep to what earlier drivers found out: their holds, and their version in place of one that is on hold."""
        for key in heritage.held - self._slot.held:
            self._slot.hold(key)
        serving, earlier = self._slot.current(), heritage.served
        if serving is None or serving.key not in heritage.held:
            return
        if earlier is None or earlier in heritage.held:
            return
        try:
            model = self.recall(earlier)
        except (ModelError, RegistryUnavailableError) as problem:
            _log.warning("version on hold serves on, as the earlier one cannot be loaded", problem=str(problem))
            return
        self._slot.swap(model)
        self._save(model)
        detail = f"{serving.version} is on hold; {model.version} served before the takeover and serves again"
        self._announcer.promoted(Promoted(model, serving, 0.0), "LAST_KNOWN_GOOD", detail)

    def paused(self, why: str) -> None:
        """Announce that the circuit breaker holds the job."""
        self._announcer.paused(self._slot.current(), why)

    def resumed(self) -> None:
        """Announce that an operator let the job go on."""
        self._announcer.resumed(self._slot.current())

    def recall(self, key: ModelKey, digest: str | None = None) -> ServedModel:
        """Load a version that a batch was planned with and that is not in the slot; the caller releases it.

        Raises:
            ModelNotFoundError: it is neither in the cache nor in the registry.
            CandidateRefusedError: it cannot be loaded any more.
            RegistryUnavailableError: it is not in the cache and the registry does not answer.
        """
        preparation = self._candidates.preparation
        model = preparation.recall(key, digest)
        return model or preparation.prepare(self._registry.get(key.name, key.version), self._registry.download)

    def release(self, model: ServedModel) -> None:
        """Give back what :meth:`recall` loaded."""
        self._candidates.preparation.release(model)

    def _try_first(self) -> ServedModel | PenstockError:
        """Poll once; returns what serves now, or why nothing does."""
        selector = self._following.selector
        try:
            version = self._registry.resolve(selector)
        except RegistryUnavailableError as problem:
            self._contact.unanswered(problem)
            return problem
        except ModelNotFoundError as problem:
            self._announcer.metrics.selector_resolved(resolved=False)
            return problem
        self._contact.answered()
        self._regain()
        outcome = self._candidates.consider(version, self._registry.download)
        self._tell(outcome)
        if isinstance(outcome, Promoted):
            return outcome.model
        if isinstance(outcome, Refused) and outcome.reason is not RefusalCode.DOWNLOAD_FAILED:
            return CandidateRefusedError(outcome.reason, f"{outcome.version}: {outcome.detail}")
        if version.key in self._slot.held:
            return CandidateRefusedError(RefusalCode.HELD, f"{selector} names {version}, which is on hold")
        return RegistryUnavailableError(f"the files of {version} did not arrive, or it is still being registered")

    def _recall_last_good(self, problem: PenstockError) -> ServedModel | None:
        saved = self._last_good.load()
        model = next(recalled(self._candidates.preparation, saved, self._slot.held), None)
        if model is None:
            return None
        self._slot.swap(model)
        self._announcer.promoted(
            Promoted(model, None, 0.0),
            reason="LAST_KNOWN_GOOD",
            detail=f"{model.version} served before the restart and serves again, because: {problem}",
        )
        return model

    def _tell(self, outcome: Outcome) -> None:
        if isinstance(outcome, Promoted):
            self._save(outcome.model)
            self._announcer.promoted(outcome)
        elif isinstance(outcome, Refused):
            self._announcer.refused(outcome, self._slot.current())

    def _save(self, model: ServedModel) -> None:
        self._last_good.save(model.key, model.package.digest, self._slot.held)

    def _regain(self) -> None:
        self._lost = False
        self._announcer.metrics.selector_resolved(resolved=True)

    def _lose(self, problem: ModelNotFoundError) -> None:
        self._announcer.metrics.selector_resolved(resolved=False)
        if not self._lost:
            self._announcer.selector_lost(self._slot.current(), str(problem))
        self._lost = True
