"""The rollout by whose arms a batch scores its rows, as the ledger has it, or as the batch was begun with it."""

from __future__ import annotations

from contextlib import closing

from streaming.adapters.kafka.ledger_tail import LedgerTail
from streaming.batch.arms import BatchSplit
from streaming.batch.plan import BatchPlan
from streaming.errors import ConfigurationError
from streaming.rollout.history import RolloutHistory
from streaming.settings import Settings


def batch_split(settings: Settings, begun: BatchPlan | None) -> BatchSplit:
    """Return the split of a batch; ``begun`` is its plan if it was begun before, which stays with its step.

    Raises:
        ConfigurationError: there is no rollout, or one version has all keys in its step; or no event says whose it is.
        BrokerUnavailableError: Kafka does not answer.
    """
    if settings.event.key is None and settings.event.id is None:
        raise ConfigurationError(
            "--rollout needs event.key or event.id: a row of a file has no Kafka key, and without an id of its own it"
            " would be of another arm each time. Set one of them, or leave --rollout out"
        )
    if begun is not None and "rollout" in begun.options:
        return BatchSplit.from_dict(begun.options["rollout"])
    application, ledger = settings.application, settings.output.ledger
    with closing(LedgerTail(settings.kafka, ledger, application)) as tail:
        rollout = RolloutHistory.of(application, tail.to_end()).current
    if rollout is None:
        raise ConfigurationError(f"{application} has no rollout in {ledger}; leave --rollout out")
    split = BatchSplit.of(rollout)
    if split.model != settings.model.name:
        raise ConfigurationError(
            f"the rollout {split.weights.rollout} is of {split.model}, and model.name is {settings.model.name}"
        )
    return split
