"""A rollout beside the faults, as somebody runs it: declared, started, widened, and promoted or aborted by order."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import yaml

from jobs.verbs.rollout.order import give
from jobs.verbs.rollout.plan import declared
from jobs.verbs.rollout.status import statuses
from streaming.errors import ConfigurationError, UpstreamError
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE
from tests.chaos.scene import PATIENCE, Scene, StalledError
from tests.chaos.schedule import Ending, Step
from tests.support.eventually import eventually
from tests.support.traffic import KEYS

SHARES = (0.05, 0.25)
_EVENTS = 20
_LEAST_KEYS = (1, 4)
"""A share of twenty keys may be none; the salt is such that each step has so many of them."""


def begin(scene: Scene, _: Step) -> None:
    """Register a candidate, declare its rollout and start it."""
    scene.candidate = scene.rig.publish_candidate()
    file = scene.home / "rollout.yaml"
    asked = {"evidence": {"candidate events": _EVENTS}, "most": "1s", "on_not_told": "promote", "manual": True}
    steps = [{"share": SHARES[0], **asked}, {"share": SHARES[1], "evidence": {"candidate events": _EVENTS}}]
    plan = {"version": scene.candidate, "salt": salt(), "steps": steps}
    file.write_text(yaml.safe_dump({**plan, "probation": {"evidence": {"labelled days": 10}}}))
    _asked(lambda: declared(scene.config, [], file))
    _asked(lambda: give(scene.config, [], "start"))


def widen(scene: Scene, _: Step) -> None:
    """Let it go on as soon as it waits for that."""
    _stands(scene, lambda status: "waits for resume" in status["why"], "to wait for the order to go on")
    _asked(lambda: give(scene.config, [], "resume"))


def end(scene: Scene, step: Step) -> None:
    """Promote or abort it, once the second step has answered events; it is over when this returns."""
    _stands(scene, _is_wide, "to be wide")
    scene.await_swap()
    if step.ending is not Ending.ABORTED:
        _asked(lambda: give(scene.config, [], "promote"))
        _stands(scene, lambda status: status["phase"] == "probation", "to be in probation")
        scene.wait_for(lambda: scene.serving() == scene.candidate, "the candidate to serve")
    _asked(lambda: give(scene.config, [], "promote" if step.ending is Ending.PROMOTED else "abort"))
    last = "promoted" if step.ending is Ending.PROMOTED else "aborted"
    _stands(scene, lambda status: status["phase"] == last, f"to be {last}")
    if step.ending is Ending.PROMOTED and scene.candidate is not None:
        scene.version = scene.candidate


def salt() -> str:
    """Return a salt by which each step gives the candidate some of the few keys."""
    return next(name for number in count() if _gives_keys(name := f"chaos-{number}"))


def _gives_keys(name: str) -> bool:
    assignments = [ArmAssignment(name, ALL_CHAMPION.changed_to({CANDIDATE: share})) for share in SHARES]
    sizes = [sum(by.arm_of(f"k{key}".encode(), "") == CANDIDATE for key in range(KEYS)) for by in assignments]
    return all(size >= least for size, least in zip(sizes, _LEAST_KEYS, strict=True))


def _stands(scene: Scene, condition: Callable[[dict[str, Any]], bool], what: str) -> None:
    """Wait for the rollout, with a driver running all the while; one that goes back by itself is a fault."""
    status: dict[str, Any] = {}

    def is_there() -> bool:
        status.update(_asked(lambda: _status(scene)))
        if status["phase"] in ("rolling back", "rolled back"):
            raise StalledError(f"the rollout went back by itself: {status['why']}")
        return condition(status)

    try:
        scene.wait_for(is_there, f"the rollout {what}")
    except StalledError as stalled:
        raise StalledError(f"{stalled}; it stood at {json.dumps(status)}") from stalled


def _status(scene: Scene) -> dict[str, Any]:
    with statuses(scene.config, []) as now:
        return now()


def _asked(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Ask until broker and registry answer: one that has just come back may need some time."""

    def attempt() -> tuple[dict[str, Any]]:
        try:
            return (call(),)
        except UpstreamError as problem:
            raise AssertionError(str(problem)) from problem

    try:
        return eventually(attempt, timeout=PATIENCE, every=0.5)[0]
    except ConfigurationError as refused:
        raise StalledError(f"an order was refused: {refused}") from refused


def _is_wide(status: dict[str, Any]) -> bool:
    answered: int = status["answered"].get(CANDIDATE, {}).get("events", 0)
    return answered >= _EVENTS and bool(status["step"] == len(SHARES))
