"""A job's second arm: that which the settings name, or that of a rollout."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta

from jobs.wiring.starting import EngineParts, Footing
from streaming.adapters.kafka.ledger_tail import LedgerTail
from streaming.clock import instant, system_clock
from streaming.engines.arms import ArmOffer, CandidateArms
from streaming.engines.exact_ports import Fallback
from streaming.engines.rollout import RolloutFollower
from streaming.engines.rollout_ports import RolloutPorts
from streaming.models.ref import ModelKey
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE
from streaming.settings import ModelSettings

_START_SECONDS = 60.0
"""If the last batch was a rollout's, the query waits for the candidate, and after so long starts without it."""
_LOOK_SECONDS = 2.0
"""Else it waits for one look at the ledger, which takes a fraction of a second unless that is long."""
_TWO_DAYS = timedelta(days=2)


def followed_arms(on: Footing, parts: EngineParts, stack: ExitStack) -> CandidateArms:
    """Return the arms of a job that holds the lease; they follow the ledger's rollout until ``stack`` ends.

    A second arm of the settings stays as it is, and no rollout is followed beside it.

    Raises:
        PenstockError: see :func:`arms_of`.
    """
    settings = on.settings
    arms = arms_of(settings.model, parts.fallback, stack)
    if settings.model.arm is None and parts.rollout is not None:
        plans = on.ledger.recent()
        # The driver before had an unfinished rollout written again each day, so its last two days tell of it.
        since = instant(plans[-1].at) - _TWO_DAYS if plans else None
        records = LedgerTail(settings.kafka, settings.output.ledger, settings.application, since)
        stack.callback(records.close)
        ports = RolloutPorts(
            application=settings.application,
            slot=parts.slot,
            versions=parts.rollout.versions,
            records=records,
            write=on.ledger.record_rollout,
            observer=parts.rollout.observer,
            clock=system_clock,
        )
        follower = RolloutFollower(ports, arms)
        stack.callback(follower.stop)
        follower.start(_START_SECONDS if plans and plans[-1].arms.weights else _LOOK_SECONDS)
    return arms


def arms_of(model: ModelSettings, versions: Fallback, stack: ExitStack) -> CandidateArms:
    """Return what decides the arms of each batch: the champion alone, or with the second arm that the settings name.

    Args:
        model: says whether there is a second arm, and of which version.
        versions: loads it.
        stack: releases it.

    Raises:
        ModelNotFoundError: there is no such version.
        CandidateRefusedError: it fails a check.
        RegistryUnavailableError: it is not in the cache and the registry does not answer.
    """
    arms = CandidateArms(versions.release)
    stack.callback(arms.close)
    if model.arm is not None:
        assignment = ArmAssignment(model.arm.salt, ALL_CHAMPION.changed_to({CANDIDATE: model.arm.share}))
        key = ModelKey(model.name, model.arm.version)
        arms.offer(ArmOffer(key, versions.recall(key), assignment))
    return arms
