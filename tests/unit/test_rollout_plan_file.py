"""The file that declares a rollout: what it may say, and the line of what it may not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from jobs.verbs.rollout.plan_file import read_plan
from streaming.errors import ConfigurationError
from streaming.rollout.checks import JudgeRules, RolloutCheck
from streaming.rollout.plan import OnNotTold, RolloutPlan, RolloutStep

GOOD = """\
version: 8
steps:
- share: 0.05
  evidence: {candidate events: 200}
  least: 10m
  most: 1d
  on_not_told: promote
- share: 0.25
  evidence: {labelled events: 200, champion events: 9}
  manual: true
probation:
  evidence: {labelled days: 10}
  least: 10d
checks:
  gross harm: {dry_run: true}
  days: {dry_run: false}
day_deviation: 0.02
tolerated: 0.01
expected_shift: -0.03
tolerated_shift: 0.1
tolerated_slowdown: 3
tolerated_drift: 0.25
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rollout.yaml"
    path.write_text(text)
    return path


def test_a_file_declares_candidate_steps_and_probation(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, GOOD))
    five = RolloutStep(
        share=0.05,
        evidence={"candidate events": 200},
        least=timedelta(minutes=10),
        most=timedelta(days=1),
        on_not_told=OnNotTold.PROMOTE,
    )
    quarter = RolloutStep(0.25, {"labelled events": 200, "champion events": 9}, manual=True)
    probation = RolloutStep(1.0, {"labelled days": 10}, least=timedelta(days=10))
    assert (plan.version, plan.salt) == (8, None)
    rules = JudgeRules(
        frozenset({RolloutCheck.GROSS_HARM}),
        day_deviation=0.02,
        tolerated=0.01,
        expected_shift=-0.03,
        tolerated_shift=0.1,
        tolerated_slowdown=3.0,
        tolerated_drift=0.25,
    )
    assert plan.plan == RolloutPlan((five, quarter), probation=probation, rules=rules)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        pytest.param("version: 8", "version: eight", "line 1: version: input should be a valid integer", id="a word"),
        pytest.param(
            "share: 0.05",
            "share: 0",
            "line 3: steps.0.share: must be above 0 where candidate events are asked for",
            id="events that a shadow has not",
        ),
        pytest.param(
            "share: 0.05\n  evidence: {candidate events: 200}",
            "share: 0\n  evidence: {drift windows: 2}",
            "line 3: steps.0.share: must be above 0 where drift windows are asked for",
            id="windows that a shadow has not",
        ),
        pytest.param("share: 0.05", "share: -1", "line 3: steps.0.share: input should be greater than", id="below 0"),
        pytest.param("share: 0.25", "share: 0.01", "line 2: the shares of a rollout's steps", id="shares fall"),
        pytest.param("least: 10m", "least: 10", "line 5: steps.0.least: must be a length of time", id="no unit"),
        pytest.param("most: 1d", "most: 1m", "line 3: steps.0: most must not be below least", id="most below least"),
        pytest.param("  most: 1d\n", "", "line 3: steps.0: on_not_told: promote needs most", id="no end"),
        pytest.param(
            "manual", "manuel", "line 10: steps.1.manuel: unknown key; known here: evidence", id="a typing error"
        ),
        pytest.param(
            "labelled days", "days", "line 12: probation.evidence.days: nobody counts 'days'", id="not counted"
        ),
        pytest.param(
            "{labelled days: 10}", "{}", "line 12: probation.evidence: dictionary should have", id="no evidence"
        ),
        pytest.param(
            "gross harm", "harm", "line 15: checks.harm: input should be 'errors', 'dead letters'", id="no check"
        ),
        pytest.param(
            "gross harm: {dry_run", "gross harm: {alpha", "checks.gross harm.alpha: unknown key", id="not of a check"
        ),
        pytest.param("day_deviation: 0.02", "day_deviation: -1", "line 17: day_deviation: input", id="below zero"),
        pytest.param(
            "tolerated_shift: 0.1\n",
            "",
            "line 19: expected_shift: needs a tolerated_shift above 0",
            id="an exact shift",
        ),
        pytest.param(
            "tolerated_slowdown: 3",
            "tolerated_slowdown: 0.5",
            "line 21: tolerated_slowdown: input should be greater than or equal to 1",
            id="faster than the champion",
        ),
        pytest.param(
            "tolerated_drift: 0.25",
            "tolerated_drift: .nan",
            "line 22: tolerated_drift: input should be",
            id="no number",
        ),
        pytest.param("probation:", "steps:", "the key steps is written twice, in lines 2 and 11", id="a key twice"),
        pytest.param(GOOD, "", "line 1: the file: input should be a valid dictionary", id="nothing"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in GOOD
    with pytest.raises(ConfigurationError) as refused:
        read_plan(written(tmp_path, GOOD.replace(before, after)))
    assert message in str(refused.value)


def test_a_mistake_in_the_only_step_is_said_once(tmp_path: Path) -> None:
    step, probation = "- share: 5%\n  evidence: {candidate events: 9}", "probation: {evidence: {labelled days: 9}}"
    text = f"version: 8\nsteps:\n{step}\n{probation}\n"
    with pytest.raises(ConfigurationError) as refused:
        read_plan(written(tmp_path, text))
    assert str(refused.value).splitlines()[1:] == ["  line 3: steps.0.share: input should be a valid number"]


def test_a_first_step_may_be_the_shadow_alone(tmp_path: Path) -> None:
    shadow = "- share: 0\n  evidence: {labelled days: 10}\n- share: 0.05"
    plan = read_plan(written(tmp_path, GOOD.replace("- share: 0.05", shadow)))
    assert [step.share for step in plan.plan.steps] == [0.0, 0.05, 0.25]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"rollout\.yaml cannot be read: No such file"):
        read_plan(tmp_path / "rollout.yaml")
