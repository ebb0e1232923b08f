"""The file that ``penstock rollout plan`` reads: strict YAML, whose mistakes are named with their line."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from jobs.configuration.load import STANDARD_INPUT
from streaming.errors import ConfigurationError
from streaming.rollout.checks import JudgeRules, RolloutCheck
from streaming.rollout.drift import TOLERATED as TOLERATED_DRIFT
from streaming.rollout.following import JOB_EVIDENCE, JUDGE_EVIDENCE
from streaming.rollout.latency import TOLERATED
from streaming.rollout.plan import OnNotTold, RolloutPlan, RolloutStep
from streaming.settings.base import Positive, Section
from streaming.yaml_text import YamlTextError, line_of, read_yaml

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LENGTH = re.compile(r"(\d+) ?([smhd])")


def _length(text: Any) -> timedelta:
    match = _LENGTH.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("must be a length of time like 30s, 10m, 2h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _counted(name: Any) -> Any:
    names = sorted(JOB_EVIDENCE | JUDGE_EVIDENCE)
    if name not in names:
        raise ValueError(f"nobody counts {name!r}; what is counted is {', '.join(names)}")
    return name


Length = Annotated[timedelta, BeforeValidator(_length)]
Counted = Annotated[str, BeforeValidator(_counted)]


class ProbationInFile(Section):
    """What the probation asks for, or a step beside its share."""

    evidence: Annotated[dict[Counted, Positive], Field(min_length=1)]
    least: Length = timedelta(0)
    most: Length | None = None
    on_not_told: OnNotTold = OnNotTold.HOLD
    manual: bool = False

    @model_validator(mode="after")
    def _ends(self) -> ProbationInFile:
        if self.on_not_told is not OnNotTold.HOLD and self.most is None:
            raise ValueError(f"on_not_told: {self.on_not_told.value} needs most, the time after which it counts")
        if self.most is not None and self.most < self.least:
            raise ValueError("most must not be below least")
        return self

    def step(self, share: float) -> RolloutStep:
        """Return it as a step of the plan."""
        return RolloutStep(
            share=share,
            evidence=dict(self.evidence),
            least=self.least,
            most=self.most,
            on_not_told=self.on_not_told,
            manual=self.manual,
        )


class StepInFile(ProbationInFile):
    """One step. With a share of 0 the candidate is in the shadow alone."""

    share: Annotated[float, Field(ge=0, le=1)]

    @field_validator("share")
    @classmethod
    def _has_its_events(cls, share: float, info: ValidationInfo) -> float:
        asked = [name for name in ("candidate events", "drift windows") if name in info.data.get("evidence", ())]
        if share == 0 and asked:
            raise ValueError(
                f"must be above 0 where {asked[0]} are asked for: in the shadow the candidate answers no event. Ask for"
                " labelled events or labelled days"
            )
        return share


class CheckInFile(Section):
    """What may be said of one check of the judge."""

    dry_run: bool = False


class PlanInFile(Section):
    """The whole file.

    ``day_deviation`` and ``tolerated`` are in units of the loss, shifts in those of the score, the slowdown is in times
    as long as the champion, and drift as a distance from the training data.
    """

    version: Positive
    salt: Annotated[str, Field(min_length=1, pattern=r"^[^\x00]+$")] | None = None
    steps: Annotated[tuple[StepInFile, ...], Field(min_length=1)]
    probation: ProbationInFile
    checks: dict[RolloutCheck, CheckInFile] = Field(default_factory=dict)
    day_deviation: Annotated[float, Field(ge=0)] = 0.0
    tolerated: Annotated[float, Field(ge=0)] = 0.0
    tolerated_shift: Annotated[float, Field(ge=0)] = 0.0
    tolerated_slowdown: Annotated[float, Field(ge=1, allow_inf_nan=False)] = TOLERATED
    tolerated_drift: Annotated[float, Field(ge=0, allow_inf_nan=False)] = TOLERATED_DRIFT
    expected_shift: float | None = None

    @field_validator("expected_shift")
    @classmethod
    def _is_no_exact_shift(cls, shift: float | None, info: ValidationInfo) -> float | None:
        if shift is not None and info.data.get("tolerated_shift") == 0:
            raise ValueError("needs a tolerated_shift above 0, as no shift is exactly what is expected")
        return shift

    @property
    def rules(self) -> JudgeRules:
        """How the candidate is judged."""
        dry_run = frozenset(check.value for check, rules in self.checks.items() if rules.dry_run)
        return JudgeRules(
            dry_run,
            day_deviation=self.day_deviation,
            tolerated=self.tolerated,
            expected_shift=self.expected_shift,
            tolerated_shift=self.tolerated_shift,
            tolerated_slowdown=self.tolerated_slowdown,
            tolerated_drift=self.tolerated_drift,
        )


@dataclass(frozen=True)
class WrittenPlan:
    """What a file declares; without ``salt`` the model's last rollout has it."""

    version: int
    salt: str | None
    plan: RolloutPlan


def read_plan(path: Path) -> WrittenPlan:
    """Read a file; ``-`` is standard input.

    Raises:
        ConfigurationError: it cannot be read, or declares what cannot be; the message names the line.
    """
    name = "standard input" if path == STANDARD_INPUT else str(path)
    try:
        text = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
        tree = read_yaml(text)
    except OSError as problem:
        raise ConfigurationError(f"the plan {name} cannot be read: {problem.strerror}") from problem
    except YamlTextError as problem:
        raise ConfigurationError(f"the plan {name} is not valid YAML: {problem}") from None
    try:
        plan = PlanInFile.model_validate(tree)
    except ValidationError as problem:
        lines = "".join(f"\n  {_explained(detail, text)}" for detail in _mistakes(problem))
        raise ConfigurationError(f"the plan {name} is not valid:{lines}") from None
    try:
        steps = tuple(step.step(step.share) for step in plan.steps)
        probation = plan.probation.step(1.0)
        return WrittenPlan(plan.version, plan.salt, RolloutPlan(steps, probation=probation, rules=plan.rules))
    except ConfigurationError as problem:
        raise ConfigurationError(f"the plan {name}, line {line_of(text, ('steps',))}: {problem}") from None


def _mistakes(problem: ValidationError) -> list[ErrorDetails]:
    """Return what is wrong, without lists that pydantic calls too short because it left out what is wrong in them."""
    details = problem.errors(include_url=False)
    above = {detail["loc"][:depth] for detail in details for depth in range(len(detail["loc"]))}
    return [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in above]


def _explained(detail: ErrorDetails, text: bytes) -> str:
    path = [part for part in detail["loc"] if part != "[key]"]
    location = ".".join(map(str, path)) or "the file"
    where = f"line {line_of(text, path)}: {location}"
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown key; known here: {', '.join(_keys(path[:-1]))}"
    message = detail["msg"].removeprefix("Value error, ").partition(", unable to parse")[0]
    return f"{where}: {message[:1].lower()}{message[1:]}"


def _keys(path: Sequence[str | int]) -> list[str]:
    sections: dict[str | int, type[BaseModel]] = {
        "steps": StepInFile,
        "probation": ProbationInFile,
        "checks": CheckInFile,
    }
    return list(sections.get(path[0] if path else "", PlanInFile).model_fields)
