"""What goes wrong in a seed's run, and when: faults are dealt like cards, so that twenty seeds hold them all for sure.

Which faults a seed has is its hand, dealt once and the same for seeds twenty apart. Their order, the swaps between them
and every random moment come from ``Random(seed)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import cycle
from random import Random

from streaming.failpoints import NAMES

HANDS = 20
LEAST_HITS = 3
LEAST_FAULTS = 2
SWAPS = 2
_DEALER = 2026


class Kind(str, Enum):
    """What can go wrong, and swaps and rollouts, which should go right all the while."""

    SWAP = "swap"
    ROLLOUT_BEGINS = "rollout begins"
    ROLLOUT_WIDENS = "rollout widens"
    ROLLOUT_ENDS = "rollout ends"
    WRITER_FAILPOINT = "writer failpoint"
    DRIVER_FAILPOINT = "driver failpoint"
    KILL_DRIVER = "kill driver"
    FREEZE_DRIVER = "freeze driver"
    KILL_WORKER = "kill worker"
    ZOMBIE_WORKER = "zombie worker"
    KILL_BROKER = "kill broker"
    KILL_REGISTRY = "kill registry"
    DISK_FULL = "disk full"
    SPECULATION = "speculation"
    CLOCK_SKEW = "clock skew"
    CHECKPOINT_DELETED = "checkpoint deleted"
    UNREAD_REMOVED = "unread removed"


class Return(str, Enum):
    """How scoring goes on after a driver is gone."""

    STANDBY = "standby"
    RESTART = "restart"
    NO_CHECKPOINT = "restart without checkpoint"
    GAP = "restart after retention removed unread events"


class Ending(str, Enum):
    """How a rollout ends."""

    PROMOTED = "promoted"
    ABORTED = "aborted"
    ABORTED_IN_PROBATION = "aborted in probation"


ROLLOUT = (Kind.ROLLOUT_BEGINS, Kind.ROLLOUT_WIDENS, Kind.ROLLOUT_ENDS)
PLANNED = frozenset({Kind.SWAP, *ROLLOUT})
"""What somebody does on purpose."""
_ROLLOUT_EVERY = 4
DEATHS = frozenset({Kind.DRIVER_FAILPOINT, Kind.KILL_DRIVER, Kind.FREEZE_DRIVER})
ZOMBIE_POINTS = ("writer.offsets_sent", "writer.produced")
"""Inside a transaction: where a worker that wakes up late has something to be fenced from."""


@dataclass(frozen=True)
class Step:
    """One fault: at ``point`` where it is a failpoint's, with ``back`` where it ends the driver.

    Of a rollout's end, ``ending`` says how.
    """

    kind: Kind
    point: str = ""
    back: Return | None = None
    ending: Ending | None = None

    def __str__(self) -> str:
        """Return it for people."""
        words = [self.point if self.kind in (Kind.WRITER_FAILPOINT, Kind.DRIVER_FAILPOINT) else self.kind.value]
        return " > ".join([*words, *(more.value for more in (self.back, self.ending) if more)])


@dataclass(frozen=True)
class Schedule:
    """One seed's run. ``small`` cuts a partition's output into several transactions."""

    seed: int
    steps: tuple[Step, ...]
    skewed: bool
    small: bool

    @property
    def standby(self) -> bool:
        """Whether a second driver waits from the start."""
        return any(step.back is Return.STANDBY for step in self.steps)

    def has(self, kind: Kind) -> bool:
        """Whether a step is of that kind."""
        return any(step.kind is kind for step in self.steps)

    def kinds(self) -> Counter[Kind]:
        """Count the faults, those that a death brings with it too."""
        result = Counter(step.kind for step in self.steps)
        result[Kind.CLOCK_SKEW] += self.skewed
        result[Kind.CHECKPOINT_DELETED] += sum(step.back is Return.NO_CHECKPOINT for step in self.steps)
        result[Kind.UNREAD_REMOVED] += sum(step.back is Return.GAP for step in self.steps)
        return +result


def schedule(seed: int, *, with_rollout: bool | None = None) -> Schedule:
    """Return what happens to ``seed``. Every fourth seed has a rollout, unless it is said which have."""
    hand, skewed = _deal()[(seed - 1) % HANDS]
    chance = Random(seed)
    steps = chance.sample(hand, len(hand))
    for _ in range(SWAPS):
        steps.insert(chance.randrange(len(steps)), Step(Kind.SWAP))
    small = chance.random() < 0.5
    if with_rollout or (with_rollout is None and seed % _ROLLOUT_EVERY == _ROLLOUT_EVERY - 1):
        steps = _with_rollout(steps, seed)
    return Schedule(seed, tuple(steps), skewed, small)


def _with_rollout(steps: list[Step], seed: int) -> list[Step]:
    """Put a rollout's steps between the others, of which there is one at least in each of its steps."""
    widens, ends = sorted(Random(f"rollout {seed}").sample(range(1, len(steps) + 1), 2))
    begin, widen = Step(Kind.ROLLOUT_BEGINS), Step(Kind.ROLLOUT_WIDENS)
    end = Step(Kind.ROLLOUT_ENDS, ending=list(Ending)[seed % len(Ending)])
    return [begin, *steps[:widens], widen, *steps[widens:ends], end, *steps[ends:]]


@cache
def _deal() -> tuple[tuple[tuple[Step, ...], bool], ...]:
    """Return each hand's faults, and whether its clocks are skewed."""
    chance = Random(_DEALER)
    hands = [[death] for death in _deaths(chance)]
    lone = [hand for hand in hands if hand[0].back is Return.RESTART]
    for hand in lone[:LEAST_FAULTS]:  # it needs a cluster of its own, so no second driver beside it
        hand.append(Step(Kind.SPECULATION, "writer.began"))
    writer = [Step(Kind.WRITER_FAILPOINT, name) for name in NAMES if name.startswith("writer.")]
    for pile in (chance.sample(_others(), len(_others())), chance.sample(4 * writer, 4 * len(writer))):
        for hand, step in zip(cycle(sorted(hands, key=len)), pile, strict=False):
            hand.append(step)
    skewed = chance.sample([True] * 4 + [False] * (HANDS - 4), HANDS)
    return tuple((tuple(hand), skew) for hand, skew in zip(hands, skewed, strict=True))


def _deaths(chance: Random) -> Iterator[Step]:
    """Yield one death of the driver for each hand, each engine failpoint three times among them."""
    points = [Step(Kind.DRIVER_FAILPOINT, name) for name in NAMES if name.startswith("engine.")]
    deaths = 3 * points + 5 * [Step(Kind.KILL_DRIVER)] + 3 * [Step(Kind.FREEZE_DRIVER, ZOMBIE_POINTS[0])]
    backs = 5 * [Return.STANDBY] + 5 * [Return.RESTART] + 4 * [Return.NO_CHECKPOINT] + 3 * [Return.GAP]
    shuffled = iter(chance.sample(backs, len(backs)))
    for death in chance.sample(deaths, len(deaths)):
        # Only a driver that another has replaced can be a zombie.
        back = Return.STANDBY if death.kind is Kind.FREEZE_DRIVER else next(shuffled)
        yield Step(death.kind, death.point, back)


def _others() -> list[Step]:
    zombies = [Step(Kind.ZOMBIE_WORKER, point) for point in 2 * ZOMBIE_POINTS]
    counts = {Kind.KILL_WORKER: 5, Kind.KILL_BROKER: 4, Kind.KILL_REGISTRY: 3, Kind.DISK_FULL: 3}
    return zombies + [Step(kind) for kind, count in counts.items() for _ in range(count)]


def unmet(kinds: Counter[Kind], hits: Counter[str]) -> Iterable[str]:
    """Say which faults and failpoints came too seldom for a run over all hands to count."""
    for kind in Kind:
        if kinds[kind] < LEAST_FAULTS:
            yield f"{kind.value}: {kinds[kind]} times, not {LEAST_FAULTS}"
    for name in NAMES:
        if hits[name] < LEAST_HITS:
            yield f"failpoint {name}: hit {hits[name]} times, not {LEAST_HITS}"
