"""The report on one rollout: data of the table, the page and the JSON."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.quality import VersionQuality
from streaming.clock import isoformat, moment
from streaming.quality.cohort import MeasuringRules, measured
from streaming.quality.labels import LabelledPredictions
from streaming.quality.tables import days_of, distinct
from streaming.rollout.days import DaySums, day_sums
from streaming.rollout.gross_harm import GrossRules, LossSums
from streaming.rollout.intervals import CANDIDATE
from streaming.rollout.records import Declaration, Transition
from streaming.rollout.verdict import RolloutVerdict
from streaming.rollout_report.answers import DAY, LabelSource, PairedSides, event_losses, with_labels
from streaming.rollout_report.differences import ArmsComparison, compared, unpaired_days
from streaming.rollout_report.judged import StepJudged, steps_judged
from streaming.statistics.arrays import Floats
from streaming.version import __version__

FORMAT = "penstock.rollout.report.v1"


@dataclass(frozen=True)
class ReportSubject:
    """Whose answers are reported, how long labels are waited for, and the class that is called positive.

    ``reached`` is how far the application's events have come by their own time, also after the rollout; ``None``: as
    far as the rollout's.
    """

    declaration: Declaration
    horizon: timedelta
    now: datetime
    positive: str | None = None
    reached: datetime | None = None


@dataclass(frozen=True)
class StepRecords:
    """The transitions of a rollout in order, and the judge's last verdict on each step."""

    transitions: Sequence[Transition]
    verdicts: Collection[RolloutVerdict] = ()


@dataclass(frozen=True)
class StepTaken:
    """A transition: what came, when and why; ``first_event`` is the time of the first event that it decided about."""

    at: str
    phase: str
    step: int
    share: float
    weight_epoch: int
    why: str
    paused: bool
    first_event: str | None


@dataclass(frozen=True)
class RolloutReport:
    """Everything that is shown.

    Attributes:
        rollout: its name.
        application: whose it is.
        model: the model's name.
        candidate: the candidate's version.
        loss: by which the versions are compared.
        alpha: the chance that an equal candidate is ever called harmful.
        tolerated: the difference below which a candidate is no worse.
        margin: the difference from which harm is gross, and which the days that are needed find; ``None`` if unknown.
        arms: each version in its arm, over the days whose labels are all due.
        early: labelled events of days whose labels are still due, which decide nothing.
        unpaired: the versions on events of their own.
        paired: the versions on the same events; ``None`` without records of a shadow.
        steps: the transitions in order.
        judged: the judge's last look at each step that it looked at.
    """

    rollout: str
    application: str
    model: str
    candidate: int
    loss: str
    alpha: float
    tolerated: float
    margin: float | None
    arms: tuple[VersionQuality, ...]
    early: int
    unpaired: ArmsComparison
    paired: ArmsComparison | None
    steps: tuple[StepTaken, ...]
    judged: tuple[StepJudged, ...]

    def as_json(self) -> dict[str, Any]:
        """Return everything the report says."""
        return {"format": FORMAT, "made_by": f"penstock {__version__}", **asdict(self)}


def rollout_report(
    subject: ReportSubject,
    steps: StepRecords,
    answers: pa.Table,
    sides: PairedSides | None,
    labels: LabelSource,
) -> RolloutReport:
    """Return the report.

    Args:
        subject: whose it is.
        steps: the ledger's records of the rollout.
        answers: of :data:`streaming.rollout_report.answers.ANSWERS`.
        sides: the events that both versions answered; ``None`` where nothing scored in the shadow.
        labels: where labels are.
    """
    declaration, rules = subject.declaration, subject.declaration.plan.rules
    harm, parts = rules.days, [distinct(answers), *(sides or ())]
    # Together, so that labels are read once, and a class that only one of the tables shows has its name in all of them.
    whole = with_labels(pa.concat_tables(parts).unify_dictionaries(), labels, subject.horizon, subject.now)
    losses = event_losses(whole)
    part = np.repeat(np.arange(len(parts)), [each.num_rows for each in parts])
    own = whole.only(part == 0)
    own_losses, *pair_losses = (losses.values[part == number] for number in range(len(parts)))
    due = _first_day_due(subject, own)
    is_due = days_of(own.predictions) < due
    is_candidate = _is_candidate(own)
    margin = _margin(own_losses[is_due & ~is_candidate], rules.day_deviation)
    unpaired = unpaired_days(days_of(own.predictions), is_candidate, own_losses).before(due)
    paired = None if sides is None else _paired(sides.champion["event_time"], pair_losses).before(due)
    return RolloutReport(
        rollout=declaration.name,
        application=declaration.application,
        model=declaration.candidate.name,
        candidate=declaration.candidate.version,
        loss=losses.kind.value,
        alpha=harm.alpha,
        tolerated=harm.tolerated,
        margin=margin,
        arms=measured(own.only(is_due), MeasuringRules(subject.positive), subject.horizon) if is_due.any() else (),
        early=int(np.count_nonzero(np.isfinite(own_losses[~is_due]))),
        unpaired=compared(unpaired, harm, margin or 0.0, paired=False),
        paired=None if paired is None else compared(paired, harm, margin or 0.0, paired=True),
        steps=tuple(_step(each, own.predictions) for each in steps.transitions),
        judged=steps_judged(steps.verdicts),
    )


def _first_day_due(subject: ReportSubject, own: LabelledPredictions) -> int:
    """Return the first day that may not decide yet: not over by the stream or the clock, or with labels still due."""
    days = days_of(own.predictions)
    by_clock = int((subject.now - subject.horizon - moment(0)) / DAY)
    # The stream has not passed the last day that it has events of, even if the clock has.
    reached = 0 if subject.reached is None else int((subject.reached - moment(0)) / DAY)
    return min(by_clock, max(reached, int(days.max()))) if len(days) else 0


def _is_candidate(own: LabelledPredictions) -> Any:
    roles = own.predictions["role"].cast(pa.string())
    return np.asarray(pc.equal(roles, CANDIDATE).to_numpy(), np.bool_)


def _margin(champions: Floats, day_deviation: float) -> float | None:
    labelled = champions[np.isfinite(champions)]
    if not len(labelled):
        return None
    return GrossRules(block_deviation=day_deviation).margin(LossSums.of(labelled, labelled))


def _paired(event_times: pa.ChunkedArray, losses: Sequence[Floats]) -> DaySums:
    champion, candidate = losses
    both = np.isfinite(champion) & np.isfinite(candidate)
    times = np.asarray(event_times.cast(pa.int64()).to_numpy(), np.int64)[both] * 1000
    return day_sums(times, (candidate - champion)[both])


def _step(transition: Transition, answers: pa.Table) -> StepTaken:
    state, epoch = transition.state, transition.weights.epoch
    times = answers.filter(pc.equal(answers["weight_epoch"], epoch))["event_time"]
    first = pc.min(times).as_py() if len(times) else None
    return StepTaken(
        at=transition.at,
        phase=state.phase.value,
        step=state.step + 1,
        share=state.share(transition.declaration.plan),
        weight_epoch=epoch,
        why=state.why,
        paused=state.paused,
        first_event=None if first is None else isoformat(first),
    )
