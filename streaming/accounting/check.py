"""The verdict on a run: what came in against what came out and what the ledger says. Pure, so that it can be tested."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streaming.accounting.account import balance
from streaming.accounting.batch_arms import Answerer, BatchArms
from streaming.accounting.records import Place, ReadResult, Sent

_EXAMPLES = 5


Part = tuple[str, int, int, int]
"""Plan, partition, first offset, and the one after the last."""


class LedgerHistory:
    """The ledger as an outsider reads it, from its records in order."""

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._arms: dict[str, BatchArms] = {}
        self.plans: list[Part] = []
        self.segments: list[Part] = []
        self.skipped: dict[int, list[range]] = defaultdict(list)
        for record in records:
            if record["type"] == "plan":
                self._arms[record["plan"]] = BatchArms.of(record)
                self.plans += [(record["plan"], int(p), *part) for p, part in record["ranges"].items()]
            elif record["type"] == "outcome":
                self.segments += [
                    (plan, int(p), start, end)
                    for p, outcome in record["partitions"].items()
                    for plan, start, end in outcome["segments"]
                ]
            elif record["type"] == "skip":
                for p, gap in record["gaps"].items():
                    self.skipped[int(p)].append(range(*gap))

    def recorded(self, partition: int, offsets: Iterable[int]) -> dict[int, set[str]]:
        """Return the plans that the outcomes name for each offset."""
        return self._covering(self.segments, partition, offsets)

    def planned(self, partition: int, offsets: Iterable[int]) -> dict[int, set[str]]:
        """Return all plans of each offset."""
        return self._covering(self.plans, partition, offsets)

    def answerers(self, plans: Iterable[str], event: Sent) -> set[Answerer]:
        """Return who was to answer an event by these plans: by its arm, where a plan has several."""
        identity = (event.key or event.id).encode()
        return {self._arms[plan].answerer(identity) for plan in plans}

    def _covering(self, parts: Sequence[Part], partition: int, offsets: Iterable[int]) -> dict[int, set[str]]:
        plans_at: dict[int, set[str]] = {offset: set() for offset in offsets}
        for plan, p, start, end in parts:
            if p == partition:
                for offset in range(start, end):
                    if offset in plans_at:
                        plans_at[offset].add(plan)
        return plans_at


@dataclass
class Findings:
    """Everything that is wrong, counted, with a few examples each. ``unrecorded`` results are none of it."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unrecorded: int = 0
    """Results whose outcome died with the driver, before a lost checkpoint; their plan speaks for them."""

    def add(self, kind: str, example: str) -> None:
        """Count one."""
        self.counts[kind] += 1
        if len(self.examples[kind]) < _EXAMPLES:
            self.examples[kind].append(example)


LOST, DOUBLED, MIXED, MISORDERED = "lost", "duplicated", "mixed_versions", "order_violations"
STRANGE = "unexpected"
"""What fits nothing above: results of nothing, wrong kinds, wrong keys, skips of what was there."""


@dataclass(frozen=True)
class ReadBack:
    """One run's records, read back independently.

    ``predicts`` is what a version says of an event. Without a ``ledger``, where the engine writes no plans or nobody
    reads them, no version is held against it. ``removed`` is what retention took before the job came back.
    """

    sent: Mapping[Place, Sent]
    predictions: Sequence[ReadResult]
    dead_letters: Sequence[ReadResult]
    predicts: Callable[[Sent, int], float]
    ledger: LedgerHistory | None = None
    removed: Mapping[int, Sequence[range]] = field(default_factory=dict)

    @property
    def results(self) -> list[ReadResult]:
        """All of them."""
        return [*self.predictions, *self.dead_letters]


def check(evidence: ReadBack) -> Findings:
    """Compare; nothing is excused that is not in the ledger's skip records *and* was removed for real."""
    findings = Findings()
    _complete(evidence, findings)
    _recorded(evidence, findings)
    for result in evidence.results:
        if (sent := evidence.sent.get(result.place)) is not None:
            _own_result(result, sent, evidence.predicts, findings)
    for topic in (evidence.predictions, evidence.dead_letters):
        _ordered(topic, evidence.sent, findings)
    return findings


def skipped(evidence: ReadBack) -> set[Place]:
    """Return the events that the ledger says were skipped."""
    gaps = evidence.ledger.skipped if evidence.ledger else {}
    return {(p, offset) for p, ranges in gaps.items() for part in ranges for offset in part}


def _complete(evidence: ReadBack, findings: Findings) -> None:
    balanced = balance(evidence.sent.keys(), [result.place for result in evidence.results])
    gone = {(p, offset) for p, ranges in evidence.removed.items() for part in ranges for offset in part}
    excused = skipped(evidence)
    for event in sorted(excused - gone):
        findings.add(STRANGE, f"{event} is recorded as skipped and was never removed")
    for event in sorted(excused & {result.place for result in evidence.results}):
        findings.add(STRANGE, f"{event} is recorded as skipped and was answered")
    for event in sorted(balanced.missing - (excused & gone)):
        findings.add(LOST, f"{event} {evidence.sent[event].id}")
    for event in balanced.unexpected:
        findings.add(STRANGE, f"{event} was answered and never sent")
    for event, more in balanced.repeated.items():
        for _ in range(more):
            findings.add(DOUBLED, f"{event} came out {more + 1} times")


def _recorded(evidence: ReadBack, findings: Findings) -> None:
    """Hold each result's version, role and step against the ledger's outcomes, and where one is missing the plans."""
    if (ledger := evidence.ledger) is None:
        return
    offsets = defaultdict(set)
    for result in evidence.results:
        offsets[result.place[0]].add(result.place[1])
    recorded = {p: ledger.recorded(p, numbers) for p, numbers in offsets.items()}
    planned = {p: ledger.planned(p, numbers) for p, numbers in offsets.items()}
    for result in evidence.results:
        if (sent := evidence.sent.get(result.place)) is None:
            continue
        partition, offset = result.place
        outcome, plans = (
            _comparable(ledger.answerers(by, sent), result)
            for by in (recorded[partition][offset], planned[partition][offset])
        )
        findings.unrecorded += not outcome
        if outcome != {result.by} and (outcome or result.by not in plans):
            findings.add(MIXED, f"{result.place} answered by {result.by}, ledger: outcome {outcome}, plans {plans}")


def _comparable(answerers: set[Answerer], result: ReadResult) -> set[Answerer]:
    """A dead letter says whose signature it was checked against, and no more."""
    return answerers if result.value is not None else {answerer.by_version for answerer in answerers}


def _own_result(result: ReadResult, sent: Sent, predicts: Callable[[Sent, int], float], findings: Findings) -> None:
    if result.key != sent.key:
        findings.add(STRANGE, f"{result.place} has key {result.key}, was sent with {sent.key}")
    if (result.value is None) != (sent.late is None):
        findings.add(STRANGE, f"{result.place} came out as the wrong kind")
    if result.value is None or sent.late is None:
        return
    if result.value["event_id"] != sent.id:
        findings.add(STRANGE, f"{result.place} is {sent.id} and came out as {result.value['event_id']}")
    claims = {name: result.value[name] for name in ("model_version", "role", "prediction")}
    own = {"model_version": result.version, "role": result.by.role, "prediction": predicts(sent, result.version)}
    if claims != own:
        findings.add(MIXED, f"{result.place} by version {result.version}: {dict(result.value)}, which would say {own}")


def _ordered(results: Sequence[ReadResult], sent: Mapping[Place, Sent], findings: Findings) -> None:
    latest: dict[str, tuple[int, int]] = {}
    for result in sorted(results, key=lambda read: read.at):
        event = sent.get(result.place)
        if event is None:
            continue
        partition, number = latest.get(event.key, (result.at[0], -1))
        if result.at[0] != partition:
            findings.add(MISORDERED, f"key {event.key} is in partitions {partition} and {result.at[0]}")
        elif event.number < number:
            findings.add(MISORDERED, f"{event.id} came out after number {number}")
        latest[event.key] = result.at[0], max(number, event.number)
