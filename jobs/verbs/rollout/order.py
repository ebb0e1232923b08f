"""``penstock rollout start``, ``pause``, ``resume``, ``promote`` and ``abort``: orders in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.verbs.rollout.desk import rollout_desk, rollout_settings
from jobs.verbs.rollout.status import status_of
from streaming.clock import isoformat
from streaming.rollout.machine import RolloutOrder, order
from streaming.rollout.records import OrderGiven
from streaming.rollout.states import RolloutTime


def give(config: Path | None, overrides: Sequence[str], word: str) -> dict[str, Any]:
    """Write an order, and return the rollout's status.

    Raises:
        ConfigurationError: the settings are wrong, there is no rollout, or the order has no meaning in its state.
        BrokerUnavailableError: Kafka does not answer.
    """
    with rollout_desk(rollout_settings(config, overrides)) as desk:
        rollout, now = desk.current(), RolloutTime(desk.clock(), desk.clock())
        # What others have ordered counts, although the job has not read it yet.
        order(rollout.after_orders(now), rollout.declaration.plan, RolloutOrder(word), now)
        declaration = rollout.declaration
        order_given = OrderGiven(declaration.name, declaration.application, RolloutOrder(word), isoformat(now.clock))
        desk.append(order_given.to_dict())
        return status_of(desk)
