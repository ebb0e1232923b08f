"""A job's second arm, where the settings name one."""

from __future__ import annotations

from contextlib import ExitStack

from streaming.engines.arms import ArmSource, ChampionAlone, FixedCandidate
from streaming.engines.exact_ports import Fallback
from streaming.models.ref import ModelKey
from streaming.settings import ModelSettings


def arms_of(model: ModelSettings, versions: Fallback, stack: ExitStack) -> ArmSource:
    """Return what decides the arms of each batch.

    Args:
        model: says whether there is a second arm, and of which version.
        versions: loads it.
        stack: releases it.

    Raises:
        ModelNotFoundError: there is no such version.
        CandidateRefusedError: it fails a check.
        RegistryUnavailableError: it is not in the cache and the registry does not answer.
    """
    if model.arm is None:
        return ChampionAlone()
    candidate = versions.recall(ModelKey(model.name, model.arm.version))
    stack.callback(versions.release, candidate)
    return FixedCandidate(candidate, model.arm.share, model.arm.salt)
