"""Which arm answered which event, computed again from the topics alone: the input, the outputs and the ledger."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scipy.stats import binom

from schemas import prediction
from streaming.adapters.kafka.scan import stored
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelVersion
from streaming.outputs.read_back import Output, read_output
from streaming.rollout.intervals import CANDIDATE, CHAMPION

Place = tuple[int, int]


@dataclass
class Topics:
    """What stands on an application's topics; ``read`` returns the messages of the input's name with a suffix."""

    read: Callable[[str], list[Any]]

    @cached_property
    def events(self) -> dict[Place, tuple[bytes | None, dict[str, Any]]]:
        """Key and fields of each event."""
        return {(m.partition(), m.offset()): (m.key(), json.loads(m.value())) for m in self.read("")}

    @cached_property
    def ledger(self) -> list[dict[str, Any]]:
        return [json.loads(message.value()) for message in self.read(".ledger")]

    @cached_property
    def plans(self) -> dict[str, Plan]:
        return {record["plan"]: Plan.from_dict(record) for record in self.ledger if record["type"] == "plan"}

    @cached_property
    def outputs(self) -> list[Output]:
        """What the job answered."""
        return [output for output in self._written if prediction.CORRECTS not in dict(output.record.headers)]

    @cached_property
    def corrections(self) -> list[Output]:
        """What a repair has published."""
        return [output for output in self._written if prediction.CORRECTS in dict(output.record.headers)]

    @cached_property
    def _written(self) -> list[Output]:
        messages = [*self.read(".out"), *self.read(".dlq")]
        return [output for message in messages if (output := read_output(stored(message))) is not None]

    def outcomes(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for record in self.ledger:
            if record["type"] == "outcome":
                yield from ((int(partition), result) for partition, result in record["partitions"].items())

    def plan_of(self, place: Place) -> Plan:
        """Return the plan whose transaction wrote an event's output."""
        partition, offset = place
        writers = {
            plan
            for of, result in self.outcomes()
            for plan, start, end in result["segments"]
            if of == partition and start <= offset < end
        }
        (plan,) = writers
        return self.plans[plan]

    def expected(self, place: Place) -> tuple[str, ModelVersion]:
        """Return role and version by the plan and the event alone; an event without key and id is the champion's."""
        arms = self.plan_of(place).arms
        key, fields = self.events[place]
        role = CHAMPION
        if arms.assignment is not None and (key is not None or "event_id" in fields):
            role = arms.assignment.arm_of(key, fields.get("event_id", ""))
        return role, next(arm.version for arm in arms.arms if arm.role == role)

    def check(self) -> Counter[str]:
        """See that each event came out once, by its arm, and that the ledger counts it there; count them by arm."""
        places = Counter(output.source[1:] for output in self.outputs)
        assert places == Counter(self.events.keys()), "lost or doubled"
        by_role: Counter[str] = Counter()
        for output in self.outputs:
            _, partition, offset = output.source
            role, version = self.expected((partition, offset))
            by_role[role] += 1
            assert output.version == version.version, (output.kind, output.source)
            if output.kind == "prediction":
                value = json.loads(output.record.value or b"")
                assert (value["role"], value["run_id"], value["event_id"]) == (
                    role,
                    version.run_id,
                    self.events[partition, offset][1]["event_id"],
                )
        return by_role

    def counted(self) -> Counter[str]:
        """Return how many rows the ledger's outcomes say that each arm wrote."""
        counts: Counter[str] = Counter()
        for _, result in self.outcomes():
            for role, arm in result.get("arms", {}).items():
                counts[role] += arm["predictions"] + sum(arm["dead_letters"].values())
        return counts

    def keys_by_epoch(self) -> dict[int, dict[str, set[bytes]]]:
        """Return which keys each arm answered in each weight epoch, by the predictions' headers alone.

        See that each header is what the ledger's plan of the event says.
        """
        keys: dict[int, dict[str, set[bytes]]] = defaultdict(lambda: {CHAMPION: set(), CANDIDATE: set()})
        for output in self.outputs:
            headers = {name: (value or b"").decode(errors="replace") for name, value in output.record.headers}
            _, partition, offset = output.source
            weights = self.plan_of((partition, offset)).arms.weights
            assert headers.get("penstock-rollout") == (weights.rollout if weights else None)
            assert headers.get("penstock-weight-epoch") == (str(weights.epoch) if weights else None)
            key, _ = self.events[partition, offset]
            if weights and key:
                keys[weights.epoch][headers["penstock-role"]].add(key)
        return keys


def assert_shares(keys: dict[str, set[bytes]], share: float) -> None:
    """See that the candidate's keys are as many as a hash gives it, within the binomial interval of 99.9 %."""
    candidate, everybody = len(keys[CANDIDATE]), len(keys[CANDIDATE] | keys[CHAMPION])
    low, high = binom.interval(0.999, everybody, share)
    assert low <= candidate <= high, (candidate, everybody, share)
