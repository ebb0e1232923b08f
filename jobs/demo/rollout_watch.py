"""A rollout of the demonstration from its declaration to its end, told in a line for each state."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from jobs.demo.display import Display
from jobs.demo.rig import Rig
from jobs.verbs.rollout.order import give
from jobs.verbs.rollout.plan import declared
from jobs.verbs.rollout.status import Status, statuses
from streaming.errors import UpstreamError

QUIET = ["log.level=error"]
_LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class RolloutWatch:
    """Runs rollouts by the command line's own functions; ``check`` raises what has gone wrong meanwhile."""

    rig: Rig
    display: Display
    check: Callable[[], None]

    def start(self, plan: Path) -> None:
        """Declare a rollout and begin it."""
        declared(self.rig.config, QUIET, plan)
        give(self.rig.config, QUIET, "start")

    def until(self, phases: Collection[str], seconds: float) -> Status:
        """Wait until the rollout is in one of the phases; return its status.

        Raises:
            UpstreamError: it ended in another way, or not in time; the message says where it stands.
        """
        deadline, shown = time.monotonic() + seconds, ("", 0)
        with statuses(self.rig.config, QUIET) as status_now:
            while True:
                status = status_now()
                if (now := (status["phase"], status["step"])) != shown:
                    shown = now
                    self.display.say(_line(status))
                if status["phase"] in phases:
                    return status
                if status["finished"] or time.monotonic() > deadline:
                    raise UpstreamError(
                        f"the rollout {status['rollout']} should be {' or '.join(phases)} and is {status['phase']}:"
                        f" {status['why']}"
                    )
                self.display.detail(status["why"])
                self.check()
                time.sleep(_LOOK_SECONDS)


def _line(status: Status) -> str:
    where = status["phase"]
    if where == "step":
        where = "shadow" if status["share"] == 0 else f"canary with {status['share']:.0%} of the keys"
    return f"v{status['version']}: {where} ({_reason(status)})"


def _reason(status: Status) -> str:
    transition = str(status["because"])
    return transition if len(transition) < 140 else f"{transition[:137]}..."
