"""``penstock rollout judge``: labels and errors of a running rollout to verdicts in the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from jobs.process.stopping import StopRequest, unless_asked
from jobs.verbs.rollout.desk import rollout_settings
from jobs.wiring.judging import judge_rounds, judge_watch
from streaming.clock import Clock, system_clock
from streaming.rollout.verdict import RolloutVerdict

_LOOK_SECONDS = 0.5
_SHARE_OF_TIME = 0.2
"""A look that takes long is followed by a pause, so that the judge uses a fifth of a processor at most."""
_LONGEST_PAUSE = 30.0
"""Seconds; below a minute, after which a verdict is written again."""


def judge_once(config: Path | None, overrides: Sequence[str], clock: Clock = system_clock) -> RolloutVerdict | None:
    """Read all that is there and write the verdict if it says something new; return it, ``None`` if it does not.

    Raises:
        ConfigurationError: the settings or the topics are wrong.
        BrokerUnavailableError: Kafka does not answer.
    """
    with judge_rounds(rollout_settings(config, overrides), clock) as rounds:
        return rounds.look()


def judge_until_stopped(config: Path | None, overrides: Sequence[str], clock: Clock = system_clock) -> None:
    """Judge whatever rollout runs, until asked to stop; a broker that is away is waited for.

    Raises:
        ConfigurationError: the settings or the topics are wrong.
        SetupError: the port of the endpoint is taken.
    """
    settings = rollout_settings(config, overrides)
    stopping = StopRequest(settings.engine.stop_seconds)
    stopping.listen()
    with unless_asked(stopping), judge_watch(settings, clock) as watch:
        while not stopping.asked.is_set():
            began = time.monotonic()
            watch.look()
            pause = (time.monotonic() - began) / _SHARE_OF_TIME
            stopping.asked.wait(min(max(pause, _LOOK_SECONDS), _LONGEST_PAUSE))
