"""Following a rollout while the exact engine runs: the ledger's records to arms, on a thread beside the batches.

The batch thread never waits for it. A transition is written before the job acts on it, but for one case: a candidate
that is taken back has no keys from the next batch on, whether or not the broker takes the record.
"""

from __future__ import annotations

import threading
from datetime import timedelta

import structlog

from streaming.clock import instant, isoformat
from streaming.engines.arms import ArmOffer, CandidateArms
from streaming.engines.rollout_ports import RolloutPorts
from streaming.engines.tries import Tries
from streaming.errors import FencedError, PenstockError
from streaming.ledger.arm_counts import ArmCounts, observed, weights_of
from streaming.models.ref import ModelKey
from streaming.models.rollout_versions import RESUME_TAG
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.evidence import Observed
from streaming.rollout.following import JobFacts, advanced, weights_after
from streaming.rollout.history import Rollout, RolloutHistory
from streaming.rollout.records import Transition
from streaming.rollout.states import JUDGED, TAKING_BACK, RolloutPhase, RolloutState

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_LOOK_SECONDS = 0.5
_REFRESH = timedelta(days=1)
"""The ledger forgets after its retention, so a rollout that waits for weeks is written again."""
_TWO_ARMS = (RolloutPhase.STEP, RolloutPhase.PROMOTING)


class RolloutFollower:
    """Follows between :meth:`start` and :meth:`stop`, on a thread of its own."""

    def __init__(self, ports: RolloutPorts, arms: CandidateArms) -> None:
        self._ports = ports
        self._arms = arms
        self._history = RolloutHistory(ports.application)
        self._counts = ArmCounts()
        self._is_complete = False
        self._tries = Tries()
        self._trouble = ""
        self._failure = ""
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)

    def start(self, seconds: float) -> None:
        """Begin, and wait up to ``seconds`` until the arms of an unfinished rollout are there.

        After a restart its keys would otherwise go back to the champion for some batches.
        """
        self._thread.start()
        self._ready.wait(seconds)

    def stop(self, seconds: float = 10.0) -> None:
        """End; waits up to ``seconds`` for what is going on."""
        self._stopping.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look(_LOOK_SECONDS if self._is_complete else 0.0)
                self._trouble = ""
            except FencedError as problem:
                _log.warning("rollout is followed by another driver", problem=str(problem))
                return
            except PenstockError as problem:
                self._troubled(problem)
            # The thread must outlive every surprise, or the job would silently stop following.
            except Exception:
                _log.exception("rollout could not be followed")
                self._stopping.wait(_LOOK_SECONDS)
            finally:
                self._ready.set()

    def _troubled(self, problem: PenstockError) -> None:
        if self._trouble != str(problem):
            _log.warning("rollout cannot be followed for now; the arms stay", problem=str(problem))
        self._trouble = str(problem)
        self._is_complete = False
        self._stopping.wait(_LOOK_SECONDS)

    def look(self, seconds: float) -> None:
        """Read what has come, waiting up to ``seconds`` for it, and bring the rollout as far as it goes.

        Raises:
            PenstockError: the broker does not answer, or another driver has the lease.
        """
        # Whether a record was written is not known after a failure; only the log's own end tells.
        records = self._ports.records.fresh(seconds) if self._is_complete else self._ports.records.to_end()
        for record in records:
            self._history = self._history.after(record)
            self._counts.add(record)
        if not self._is_complete and (rollout := self._history.current) is not None:
            self._ports.observer.rollout_seen(rollout.latest)
        self._is_complete = True
        while self._moves() and not self._stopping.is_set():
            continue

    def _moves(self) -> bool:
        """Do what the state asks for; return whether that led to another state."""
        rollout = self._history.current
        if rollout is None or rollout.has_ended:
            self._withdraw()
            return False
        facts = self._facts(rollout, self._acted(rollout))
        seen = observed(rollout, self._counts.of(rollout), self._ports.clock(), facts.problems)
        state = advanced(rollout, seen, facts)
        if state.share(rollout.declaration.plan) == 0 and state.phase not in JUDGED:
            self._withdraw()
        if not self._is_news(rollout, state, facts.problems):
            return False
        self._write(rollout, state, seen)
        return True

    def _facts(self, rollout: Rollout, problems: tuple[str, ...]) -> JobFacts:
        key = rollout.declaration.candidate
        is_held = key in self._ports.slot.held and rollout.state.phase not in TAKING_BACK
        # Withdrawing the arms forgets their failure, and the record of it may not be written yet.
        self._failure = self._failure or self._arms.failure
        failure = f"{key} is on hold" if is_held else self._failure
        return JobFacts(self._serves(key), failure, problems, self._resumed(rollout))

    def _resumed(self, rollout: Rollout) -> str:
        """Return who has passed the gate by a tag; a registry that is silent says nothing, and the gate stays shut."""
        shut = not rollout.state.at_gate or self._tries(("gate", rollout.latest.number), lambda: self._shut(rollout))
        return "" if shut else f"resumed by the tag {RESUME_TAG}={rollout.gate}"

    def _shut(self, rollout: Rollout) -> str:
        tag = self._ports.versions.resume_tag(rollout.declaration.candidate)
        return "" if tag == rollout.gate else f"{RESUME_TAG} is not {rollout.gate}"

    def _serves(self, key: ModelKey) -> bool:
        serving = self._ports.slot.current()
        return serving is not None and serving.key == key

    def _acted(self, rollout: Rollout) -> tuple[str, ...]:
        """Do what the recorded state asks for; return what stands in the way."""
        key, phase, number = rollout.declaration.candidate, rollout.state.phase, rollout.latest.number
        versions, serves, problem = self._ports.versions, self._serves(rollout.declaration.candidate), ""
        if phase in _TWO_ARMS and not serves and not (self._failure or self._arms.failure):
            problem = self._tries(("load", number), lambda: self._offered(rollout))
        if phase is RolloutPhase.PROMOTING and not serves and not problem:
            problem = self._tries(("name", number), lambda: versions.name_champion(key))
        if phase is RolloutPhase.PROBATION or (phase is RolloutPhase.STEP and serves):
            self._offer(ArmOffer(key, weights=weights_of(rollout)))
            problem = "" if serves else f"another version serves in place of {key}; abort the rollout"
        if phase in TAKING_BACK and serves:
            problem = self._tries(("take back", number), lambda: self._taken_back(rollout))
        return (problem,) if problem else ()

    def _offered(self, rollout: Rollout) -> str:
        offered, declaration = self._arms.offered, rollout.declaration
        if rollout.state.share(declaration.plan) == 0:
            # Nothing is loaded for a shadow step: the candidate scores in a process of its own.
            self._offer(ArmOffer(declaration.candidate, weights=weights_of(rollout), in_shadow=True))
            return ""
        is_loaded = offered.key == declaration.candidate and offered.candidate is not None
        candidate = offered.candidate if is_loaded else self._ports.versions.candidate(declaration.candidate)
        assignment = ArmAssignment(declaration.salt, rollout.latest.weights.intervals)
        self._offer(ArmOffer(declaration.candidate, candidate, assignment, weights_of(rollout)))
        return ""

    def _taken_back(self, rollout: Rollout) -> str:
        key, champion = rollout.declaration.candidate, rollout.latest.champion
        self._ports.versions.take_back(key, rollout.state.why)
        return "" if champion is None else self._ports.versions.name_champion(ModelKey(key.name, champion), key)

    def _offer(self, offer: ArmOffer) -> None:
        if (self._arms.offered.weights, self._arms.offered.candidate) != (offer.weights, offer.candidate):
            self._arms.offer(offer)

    def _withdraw(self) -> None:
        if self._arms.offered.key is not None:
            self._arms.offer(ArmOffer())

    def _is_news(self, rollout: Rollout, state: RolloutState, problems: tuple[str, ...]) -> bool:
        latest = rollout.latest
        fields = [(s.phase, s.step, s.paused, s.at_gate) for s in (state, latest.state)]
        is_old = self._ports.clock() - instant(latest.at) > _REFRESH
        return bool(rollout.pending) or fields[0] != fields[1] or problems != latest.problems or is_old

    def _write(self, rollout: Rollout, state: RolloutState, seen: Observed) -> None:
        latest, serving = rollout.latest, self._ports.slot.current()
        is_champion = serving is not None and serving.key != rollout.declaration.candidate
        transition = Transition(
            declaration=rollout.declaration,
            number=latest.number + 1,
            orders=latest.orders + len(rollout.pending),
            state=state,
            weights=weights_after(rollout, state),
            champion=serving.version.version if serving and is_champion else latest.champion,
            evidence={name: gathered.count for name, gathered in seen.evidence.items()},
            problems=seen.unhealthy,
            at=isoformat(self._ports.clock()),
        )
        record = transition.to_dict()
        try:
            self._ports.write(record)
        except BaseException:
            self._is_complete = False
            raise
        self._history = self._history.after(record)
        self._failure = ""
        self._ports.observer.rollout_moved(transition, serving)
