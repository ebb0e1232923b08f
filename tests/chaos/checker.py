"""The verdict: what came in against what came out and what the ledger says. Pure, so that it can be tested itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Place = tuple[int, int]
"""Partition and offset on the input topic."""

_EXAMPLES = 5


@dataclass(frozen=True)
class Sent:
    """An event as it was sent. ``number`` counts the events of its key; ``late`` is ``None`` for a broken one."""

    key: str
    number: int
    late: bool | None

    @property
    def id(self) -> str:
        """The event's id."""
        return f"{self.key}-{self.number}"


@dataclass(frozen=True)
class Answer:
    """A record that a subscriber read: a prediction with its JSON ``value``, or a dead letter with ``None``."""

    place: Place
    at: Place
    """Partition and offset on the output topic."""
    key: str
    version: int
    value: Mapping[str, Any] | None


Part = tuple[str, int, int, int]
"""Plan, partition, first offset, and the one after the last."""


class History:
    """The ledger as an outsider reads it, from its records in order."""

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self.versions: dict[str, int] = {}
        self.plans: list[Part] = []
        self.segments: list[Part] = []
        self.skipped: dict[int, list[range]] = defaultdict(list)
        for record in records:
            if record["type"] == "plan":
                self.versions[record["plan"]] = record["version"]
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

    def recorded(self, partition: int, offsets: Iterable[int]) -> dict[int, set[int]]:
        """Return the versions that the outcomes name for each offset."""
        return self._covering(self.segments, partition, offsets)

    def planned(self, partition: int, offsets: Iterable[int]) -> dict[int, set[int]]:
        """Return the versions of all plans for each offset."""
        return self._covering(self.plans, partition, offsets)

    def _covering(self, parts: Sequence[Part], partition: int, offsets: Iterable[int]) -> dict[int, set[int]]:
        found: dict[int, set[int]] = {offset: set() for offset in offsets}
        for plan, p, start, end in parts:
            if p == partition:
                for offset in range(start, end):
                    if offset in found:
                        found[offset].add(self.versions[plan])
        return found


@dataclass
class Findings:
    """Everything that is wrong, counted, with a few examples each. ``unrecorded`` answers are none of it."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unrecorded: int = 0
    """Answers whose outcome died with the driver, before a lost checkpoint; their plan speaks for them."""

    def add(self, what: str, example: str) -> None:
        """Count one."""
        self.counts[what] += 1
        if len(self.examples[what]) < _EXAMPLES:
            self.examples[what].append(example)


LOST, DOUBLED, MIXED, MISORDERED = "lost", "duplicated", "mixed_versions", "order_violations"
STRANGE = "unexpected"
"""What fits nothing above: answers to nothing, wrong kinds, wrong keys, skips of what was there."""


@dataclass(frozen=True)
class Evidence:
    """One seed's records, read back independently. ``removed`` is what retention took before the job came back."""

    sent: Mapping[Place, Sent]
    predictions: Sequence[Answer]
    dead_letters: Sequence[Answer]
    ledger: History
    removed: Mapping[int, Sequence[range]] = field(default_factory=dict)


def check(evidence: Evidence) -> Findings:
    """Compare; nothing is excused that is not in the ledger's skip records *and* was removed for real."""
    findings = Findings()
    answers = [*evidence.predictions, *evidence.dead_letters]
    _complete(evidence, answers, findings)
    _truthful(evidence, answers, findings)
    for topic in (evidence.predictions, evidence.dead_letters):
        _ordered(topic, evidence.sent, findings)
    return findings


def skipped(evidence: Evidence) -> set[Place]:
    """Return the events that the ledger says were skipped."""
    return {(p, offset) for p, gaps in evidence.ledger.skipped.items() for gap in gaps for offset in gap}


def _complete(evidence: Evidence, answers: Sequence[Answer], findings: Findings) -> None:
    times = Counter(answer.place for answer in answers)
    gone = {(p, offset) for p, ranges in evidence.removed.items() for part in ranges for offset in part}
    excused = skipped(evidence)
    for place in sorted(excused - gone):
        findings.add(STRANGE, f"{place} is recorded as skipped and was never removed")
    for place in sorted(excused & times.keys()):
        findings.add(STRANGE, f"{place} is recorded as skipped and was answered")
    for place in sorted(evidence.sent.keys() - times.keys() - (excused & gone)):
        findings.add(LOST, f"{place} {evidence.sent[place].id}")
    for place, count in times.items():
        if place not in evidence.sent:
            findings.add(STRANGE, f"{place} was answered and never sent")
        for _ in range(count - 1):
            findings.add(DOUBLED, f"{place} came out {count} times")


def _truthful(evidence: Evidence, answers: Sequence[Answer], findings: Findings) -> None:
    places = defaultdict(set)
    for answer in answers:
        places[answer.place[0]].add(answer.place[1])
    recorded = {p: evidence.ledger.recorded(p, offsets) for p, offsets in places.items()}
    planned = {p: evidence.ledger.planned(p, offsets) for p, offsets in places.items()}
    for answer in answers:
        sent = evidence.sent.get(answer.place)
        if sent is None:
            continue
        partition, offset = answer.place
        ledger = recorded[partition][offset]
        findings.unrecorded += not ledger
        if ledger != {answer.version} and (ledger or answer.version not in planned[partition][offset]):
            said = f"outcome {sorted(ledger)}, plans {sorted(planned[partition][offset])}"
            findings.add(MIXED, f"{answer.place} scored by {answer.version}, ledger: {said}")
        _own_answer(answer, sent, findings)


def _own_answer(answer: Answer, sent: Sent, findings: Findings) -> None:
    if answer.key != sent.key:
        findings.add(STRANGE, f"{answer.place} has key {answer.key}, was sent with {sent.key}")
    if (answer.value is None) != (sent.late is None):
        findings.add(STRANGE, f"{answer.place} came out as the wrong kind")
    if answer.value is None or sent.late is None:
        return
    if answer.value["event_id"] != sent.id:
        findings.add(STRANGE, f"{answer.place} is {sent.id} and came out as {answer.value['event_id']}")
    own = float(sent.late == upright(answer.version))
    if answer.value["model_version"] != answer.version or answer.value["prediction"] != own:
        findings.add(MIXED, f"{answer.place} by version {answer.version}: {dict(answer.value)}, which would say {own}")


def upright(version: int) -> bool:
    """Whether a version says late of what is late; each second one says the opposite."""
    return version % 2 == 1


def _ordered(answers: Sequence[Answer], sent: Mapping[Place, Sent], findings: Findings) -> None:
    latest: dict[str, tuple[int, int]] = {}
    for answer in sorted(answers, key=lambda a: a.at):
        event = sent.get(answer.place)
        if event is None:
            continue
        partition, number = latest.get(event.key, (answer.at[0], -1))
        if answer.at[0] != partition:
            findings.add(MISORDERED, f"key {event.key} is in partitions {partition} and {answer.at[0]}")
        elif event.number < number:
            findings.add(MISORDERED, f"{event.id} came out after number {number}")
        latest[event.key] = answer.at[0], max(number, event.number)
