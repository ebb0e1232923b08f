"""Decisions about one window: a state for each column, controlled for the number of columns.

Within a window the chance that any column signals while none has moved is at most ``Rules.chance``: Holm's (1979)
step-down method over the columns' p-values, which holds however the columns depend on each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from schemas.drift import INVALID, State
from streaming.drift.detection import NOTHING, Detection, Finding, detect, level_shift
from streaming.drift.dispersion import Dispersions, learn
from streaming.drift.pair import Pair
from streaming.drift.states import Memory, Patience, Severity, severity
from streaming.models.profile import Counts, ReferenceProfile
from streaming.statistics import tails
from streaming.statistics.distances import stability_index
from streaming.statistics.shares import inverse_size


@dataclass(frozen=True)
class ColumnRules:
    """How one column is judged.

    ``min_rows`` is the least of the window that says anything; an effect below ``negligible`` (on the scale of the
    stability index, noise taken off) never signals, however many rows make it certain.
    """

    min_rows: int = 500
    negligible: float = 0.0005
    patience: Patience = field(default_factory=Patience)
    ignore: bool = False


@dataclass(frozen=True)
class DetectionRules:
    """How windows are judged: ``chance`` of a signal in a window without drift, and rules for the columns.

    ``max_invalid_share`` is the share of dead letters that is still in order.
    """

    chance: float = 0.01
    column: ColumnRules = field(default_factory=ColumnRules)
    overrides: Mapping[str, ColumnRules] = field(default_factory=dict)
    max_invalid_share: float = 0.01

    def of(self, name: str) -> ColumnRules:
        """Return the rules of one column."""
        return self.overrides.get(name, self.column)


@dataclass(frozen=True)
class WindowCounts:
    """What a window holds of one version: rows and, in the profile's order of columns, their bins.

    ``invalid`` are rows that became dead letters.
    """

    start: float
    end: float
    rows: int
    invalid: int
    columns: tuple[Counts, ...]


@dataclass(frozen=True)
class ColumnVerdict:
    """The verdict on one column in one window.

    ``adjusted`` is the p-value after control over the window's columns; ``pair`` is None for the invalid rows, which
    have a ``share`` of the window instead, and a ``bound`` for it. ``signal``: this very window has moved. ``since`` is
    when the running signal began, epoch seconds.
    """

    column: str
    n: int
    m: int
    state: State = State.INSUFFICIENT
    severity: Severity = Severity.NEGLIGIBLE
    detection: Detection = NOTHING
    adjusted: float = 1.0
    effect: float = 0.0
    since: float | None = None
    pair: Pair | None = None
    dispersions: Dispersions | None = None
    share: float = 0.0
    bound: float = 0.0
    signal: bool = False


class WindowJudge:
    """Judges the windows of one model version, in order, and remembers."""

    def __init__(
        self, profile: ReferenceProfile, rules: DetectionRules, memory: Mapping[str, Memory] | None = None
    ) -> None:
        self.profile = profile
        self.memory = dict(memory or {})
        self._rules = rules
        self._dispersions = dict(zip((column.name for column in profile.columns), learn(profile.columns), strict=True))

    def judge(self, window: WindowCounts) -> list[ColumnVerdict]:
        """Return the verdicts: a column's each, in the profile's order, then the invalid rows'."""
        pairs = [
            Pair.of(column, counts)
            for column, counts in zip(self.profile.columns, window.columns, strict=True)
            if not self._rules.of(column.name).ignore
        ]
        judged = [self._seen(pair) for pair in pairs]
        if not self._rules.of(INVALID).ignore:
            judged.append(self._invalid(window))
        # Columns without enough rows take no part in the correction, or they would weaken the others.
        enough = [index for index, verdict in enumerate(judged) if verdict.state is not State.INSUFFICIENT]
        adjusted = dict(zip(enough, holm([judged[index].detection.p_value for index in enough]), strict=True))
        return [self._remembered(verdict, adjusted.get(index), window.start) for index, verdict in enumerate(judged)]

    def _seen(self, pair: Pair) -> ColumnVerdict:
        name, rules = pair.profile.name, self._rules.of(pair.profile.name)
        dispersions = self._dispersions[name]
        verdict = ColumnVerdict(name, pair.n, pair.m, pair=pair, dispersions=dispersions)
        if pair.m < max(rules.min_rows, 1) or not pair.n:
            return verdict
        # The size is measured without noise: certainty and size are two questions.
        effect = noiseless_effect(pair)
        word = severity(effect, rules.negligible)
        return replace(verdict, state=State.STABLE, severity=word, effect=effect, detection=detect(pair, dispersions))

    def _invalid(self, window: WindowCounts) -> ColumnVerdict:
        seen, rules = window.rows + window.invalid, self._rules.of(INVALID)
        share = window.invalid / max(seen, 1)
        verdict = ColumnVerdict(INVALID, 0, seen, share=share, bound=self._rules.max_invalid_share)
        if seen < max(rules.min_rows, 1):
            return verdict
        excess = max(share - self._rules.max_invalid_share, 0.0)
        p_value = tails.binomial(window.invalid, seen, self._rules.max_invalid_share)
        detection = Detection(p_value, Finding("invalid", p_value, 1))
        word = severity(excess, rules.negligible)
        return replace(verdict, state=State.STABLE, severity=word, effect=excess, detection=detection)

    def _remembered(self, verdict: ColumnVerdict, adjusted: float | None, start: float) -> ColumnVerdict:
        if adjusted is None:
            return verdict
        rules, before = self._rules.of(verdict.column), self.memory.get(verdict.column, Memory())
        signal = adjusted <= self._rules.chance and verdict.severity is not Severity.NEGLIGIBLE
        now = self.memory[verdict.column] = before.next(signal, start, rules.patience)
        return replace(verdict, state=now.state, adjusted=adjusted, since=now.since, signal=signal)


def noiseless_effect(pair: Pair) -> float:
    """Return the stability index less what chance adds to it, (B - 1)(1/n + 1/m), or the squared shift if that is more.

    A shift of s standard deviations is an index of about s squared, spread over bins that each add their noise.
    """
    filled = sum(1 for r, w in zip(pair.reference, pair.window, strict=True) if r + w)
    noise = max(filled - 1, 0) * inverse_size(pair.n, pair.m)
    index = stability_index(pair.reference, pair.window) - noise
    shift = (
        level_shift(pair) ** 2 - inverse_size(pair.n, pair.m) if pair.ordered and all(map(any, pair.values)) else 0.0
    )
    return max(index, shift, 0.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given: at most ``chance`` of any below it by chance alone."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = running
    return adjusted
