"""What `penstock rollout status` says: where a rollout stands, what it waits for and what comes next, by the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.verbs.rollout.desk import RolloutDesk
from jobs.verbs.rollout.display import show_status
from jobs.verbs.rollout.status import status_of
from streaming.clock import isoformat
from streaming.errors import ConfigurationError, RegistryUnavailableError
from streaming.rollout.judge import HarmFinding
from streaming.rollout.machine import RolloutOrder
from streaming.rollout.plan import RolloutPlan, RolloutStep
from streaming.rollout.records import OrderGiven
from streaming.settings import Settings
from tests.unit.test_engines_rollout import PROBATION, START, Books, Job, at_the_gate, in_first_step, in_shadow_step

LABELS = RolloutPlan((RolloutStep(0.05, {"labelled events": 200}),), probation=PROBATION)
TEN_MINUTES = timedelta(minutes=10)


def status(job: Job) -> dict[str, Any]:
    """What another machine reads, which has nothing but the ledger."""
    desk = RolloutDesk(Settings.model_validate({"application": "app"}), Books(list(job.books.records)))
    desk.clock = job.clock
    desk.read()
    return status_of(desk)


def paused(job: Job) -> Job:
    return job.ordered(RolloutOrder.PAUSE)


def with_an_order_unread(job: Job) -> Job:
    job.books.write(OrderGiven("flights-2", "app", START, isoformat(job.clock())).to_dict())
    return job


@pytest.mark.parametrize(
    ("job", "phase", "why", "following"),
    [
        pytest.param(Job().declare(), "planned", "waits for start", "step 1 with a share of 0.05", id="planned"),
        pytest.param(
            with_an_order_unread(Job().declare()),
            "planned",
            "start is ordered, and no running job has read it yet",
            "step 1 with a share of 0.05",
            id="ordered",
        ),
        pytest.param(
            in_first_step(),
            "step",
            "step 1 with a share of 0.05 begins with the job's next batch once v2 is loaded; none is planned yet",
            "step 2 with a share of 0.25",
            id="not begun",
        ),
        pytest.param(
            in_shadow_step(),
            "step",
            "step 1 with a share of 0 begins with the job's next batch; none is planned yet",
            "step 2 with a share of 0.05",
            id="a shadow not begun",
        ),
        pytest.param(
            at_the_gate(),
            "step",
            "waits for resume, or for the tag penstock.resume=flights-2/1 on v2",
            "step 2 with a share of 0.25",
            id="at a gate",
        ),
        pytest.param(
            in_first_step().batch(candidate=38).waited(TEN_MINUTES),
            "step",
            "held: 38 of 100 candidate events, about 16 min at this rate",
            "step 2 with a share of 0.25",
            id="too little evidence",
        ),
        pytest.param(
            in_first_step().batch(candidate=100).waited(TEN_MINUTES),
            "step",
            "held: the judge cannot tell yet; after 1 h it will promote",
            "step 2 with a share of 0.25",
            id="not told",
        ),
        pytest.param(
            in_first_step(LABELS).batch(candidate=100),
            "step",
            "nobody reports labelled events, of which 200 are needed",
            "promotion",
            id="no labels",
        ),
        pytest.param(
            in_first_step(LABELS).batch(candidate=100).judged(HarmFinding.NOT_TOLD, labelled=38),
            "step",
            "held: 38 of 200 labelled events, about 2 h at this rate",
            "promotion",
            id="too few labels",
        ),
        pytest.param(
            in_first_step(LABELS).batch(candidate=9).judged(HarmFinding.NOT_TOLD, labelled=38).waited(TEN_MINUTES),
            "step",
            "about 2 h at this rate; the judge last looked 10 min ago",
            "promotion",
            id="a silent judge",
        ),
        pytest.param(
            paused(in_first_step()), "step", "held: paused by order", "step 2 with a share of 0.25", id="paused"
        ),
        pytest.param(
            Job(failing=RegistryUnavailableError("the registry is silent")).declare().looked().ordered(START),
            "step",
            "held: the registry is silent",
            "step 2 with a share of 0.25",
            id="not loaded",
        ),
        pytest.param(in_first_step().ordered(RolloutOrder.ABORT), "aborted", "aborted by order", "", id="aborted"),
    ],
)
def test_the_status_says_why_and_what_comes_next(job: Job, phase: str, why: str, following: str) -> None:
    result = status(job)
    assert (result["phase"], result["next"]) == (phase, following)
    assert why in result["why"]


def test_a_share_is_shown_as_coming_until_a_batch_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    for job, begun in ((in_first_step(), False), (in_first_step().batch(candidate=1), True)):
        result = status(job)
        show_status(result)
        shown = " ".join(capsys.readouterr().out.split())
        assert result["begun"] is begun
        assert ("0.05 of the keys, from the first batch of the step on, weight epoch 1" in shown) is not begun


def test_what_each_arm_answered_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    result = status(in_first_step().batch(candidate=38, champion=1_200, letters=2))
    assert result["answered"] == {
        "champion": {"events": 1_200, "dead_letters": 0},
        "candidate": {"events": 40, "dead_letters": 2},
    }
    show_status(result)
    shown = " ".join(capsys.readouterr().out.split())
    assert "flights-2, of flights v2" in shown
    assert "40 events in this step, of which 2 are dead letters" in shown
    assert "step 1 of 2" in shown


def test_a_rolled_back_rollout_says_what_the_judge_found_and_which_offsets_the_candidate_answered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = in_first_step().batch(candidate=50, champion=950).batch(candidate=40, champion=960)
    result = status(job.judged(HarmFinding.HARM, labelled=150).batch())
    assert result["phase"] == "rolled back"
    assert result["ranges"] == [{"topic": "features", "partition": 0, "start": 0, "end": 2_000, "weight_epoch": 1}]
    assert result["judge"]["checks"]["gross harm"]["count"] == 150
    show_status(result)
    shown = " ".join(capsys.readouterr().out.split())
    assert "offsets 0 to 1,999 of partition 0, weight epoch 1" in shown
    assert "gross harm harm: so the labels say (alpha 0.002)" in shown


def test_a_verdict_of_a_newer_version_is_shown_with_the_check_that_this_one_lacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = in_first_step().batch(candidate=50, champion=950).judged(HarmFinding.HARM, labelled=150)
    verdict = next(record for record in reversed(job.books.records) if record.get("kind") == "verdict")
    memory = {**verdict["checks"]["gross harm"], "sentence": "harm: 40 ms slower", "percentile": 0.99}
    answered = {"topic": "features", "partition": 0, "start": 0, "end": 1_000, "weight_epoch": 1, "arm": "candidate"}
    evidence = {name: {**gathered, "since": "today"} for name, gathered in verdict["evidence"].items()}
    checks = {**verdict["checks"], "memory": memory}
    job.books.write({**verdict, "checks": checks, "answered": [answered], "evidence": evidence})
    show_status(status(job))
    shown = " ".join(capsys.readouterr().out.split())
    assert "gross harm harm: so the labels say (alpha 0.002)" in shown
    assert "memory harm: 40 ms slower (unknown to this version)" in shown


def test_without_a_rollout_the_status_says_how_to_declare_one() -> None:
    with pytest.raises(ConfigurationError, match=r"app has no rollout in .*; declare one with `penstock rollout plan"):
        status(Job())
