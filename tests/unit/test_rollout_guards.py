"""The rollout's guards on errors and gross harm: exact in any order, seldom wrong about equal versions, soon right."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from streaming.errors import ConfigurationError, DataError
from streaming.rollout.error_guard import ErrorSums, FirstErrors, judge_errors, merged_errors
from streaming.rollout.gross_harm import GrossRules, LossSums, judge_gross
from streaming.rollout.judge import HarmFinding
from streaming.rollout.sign_guard import DisagreementCounts, judge_disagreements
from streaming.statistics.eprocess import RATIOS, log_ratio_terms, log_sign_evidence
from tests.support.backtests import unhurried

RUNS = 1_000
shares = st.sampled_from([0.01, 0.05, 0.25, 0.5]) | st.floats(0.001, 0.999)


def reference_evidence(errors: list[tuple[bool, float]]) -> float:
    """The mean over ratios of the product over errors, as it is written in the literature."""
    products = []
    for ratio in RATIOS:
        product = 1.0
        for is_candidate, share in errors:
            theta = share * ratio / (share * ratio + 1 - share)
            product *= theta / share if is_candidate else (1 - theta) / (1 - share)
        products.append(product)
    return math.log(np.mean(products))


def sums_of(errors: list[tuple[bool, float]]) -> ErrorSums:
    parts = [ErrorSums().with_errors(champion=not mine, candidate=mine, share=share) for mine, share in errors]
    return merged_errors(parts)


@unhurried
@given(st.lists(st.tuples(st.booleans(), shares), max_size=30), st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_evidence_of_errors_is_the_literatures_in_any_order_and_parts(
    errors: list[tuple[bool, float]], random: object, parts: int
) -> None:
    expected = reference_evidence(errors)
    random.shuffle(errors)  # type: ignore[attr-defined]
    pieces = [sums_of(errors[part::parts]) for part in range(parts)]
    assert judge_errors(merged_errors(pieces)).log_evidence == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 0.5])
def test_one_error_of_equal_arms_leaves_the_evidence_as_it_is_on_average(share: float) -> None:
    candidates_term, champions_term = log_ratio_terms(share)
    assert share * np.exp(candidates_term) + (1 - share) * np.exp(champions_term) == pytest.approx(np.ones(24))


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_equal_arms_are_called_harmful_at_most_as_often_as_allowed_though_each_error_is_looked_at(share: float) -> None:
    candidates = np.random.default_rng(21).random((RUNS, 400)) < share
    candidates_term, champions_term = log_ratio_terms(share)
    counts = candidates.cumsum(1)[..., None]
    errors = np.arange(1, 401)[:, None]
    evidence = np.exp(counts * candidates_term + (errors - counts) * champions_term).mean(2)
    # At 0.02 a rate that is as large as allowed would give 20 of 1,000, and 33 once in 300 times.
    assert (evidence.max(1) >= 50).sum() <= 33
    candidate = int(counts[0, -1, 0])
    verdict = judge_errors(ErrorSums().with_errors(champion=400 - candidate, candidate=candidate, share=share))
    assert verdict.log_evidence == pytest.approx(math.log(evidence[0, -1]))


@pytest.mark.parametrize(
    ("share", "most"),
    [pytest.param(0.01, 4, id="1 %"), pytest.param(0.05, 5, id="5 %"), pytest.param(0.5, 13, id="50 %")],
)
def test_a_candidate_that_fails_on_every_event_is_found_within_a_few(share: float, most: int) -> None:
    verdict = judge_errors(ErrorSums().with_errors(champion=0, candidate=most, share=share))
    assert verdict.finding is HarmFinding.HARM
    assert f"{most} of {most} keys" in verdict.sentence
    assert judge_errors(ErrorSums().with_errors(champion=0, candidate=1, share=share)).finding is HarmFinding.NOT_TOLD


def test_a_key_that_fails_again_and_again_counts_once() -> None:
    first, again = FirstErrors(), FirstErrors({b"a"})
    assert [first.is_first(key) for key in (b"a", b"b", b"a", b"a")] == [True, True, False, False]
    assert not again.is_first(b"a")


@pytest.mark.parametrize("share", [0.0, 1.0, math.nan])
def test_errors_without_a_second_arm_are_refused(share: float) -> None:
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        ErrorSums().with_errors(champion=1, candidate=1, share=share)


@unhurried
@given(st.integers(0, 60), st.integers(0, 60))
def test_the_evidence_of_disagreements_is_an_integral(against: int, for_it: int) -> None:
    integral, _ = integrate.quad(lambda p: 2 * p**against * (1 - p) ** for_it, 0.5, 1, epsabs=0, epsrel=1e-10)
    assert log_sign_evidence(against, for_it) == pytest.approx(math.log(integral) + (against + for_it) * math.log(2))


def test_the_sign_test_finds_what_is_wrong_more_often_and_rarely_what_is_not() -> None:
    random = np.random.default_rng(22)
    against = (random.random((300, 200)) < 0.5).cumsum(1)
    looks = range(9, 200, 10)
    alarms = sum(
        any(log_sign_evidence(int(run[look]), look + 1 - int(run[look])) >= math.log(50) for look in looks)
        for run in against
    )
    assert alarms <= 0.02 * 300 + 7
    whole = DisagreementCounts(3, 4).merged(DisagreementCounts(1, 40))
    assert whole == DisagreementCounts(4, 44)
    assert judge_disagreements(whole).finding is HarmFinding.HARM
    assert judge_disagreements(DisagreementCounts(44, 4)).finding is HarmFinding.NOT_TOLD


@unhurried
@given(st.lists(st.tuples(st.floats(0, 4.6), st.floats(0, 4.6)), min_size=100, max_size=150), st.integers(1, 5))
def test_gross_harm_is_the_same_from_parts_of_the_events(losses: list[tuple[float, float]], parts: int) -> None:
    champion, candidate = np.array(losses).T
    whole = LossSums.of(champion, candidate)
    pieces = [LossSums.of(champion[part::parts], candidate[part::parts]) for part in range(parts)]
    rules = GrossRules()
    merged, single = judge_gross(reduce(LossSums.merged, pieces), rules), judge_gross(whole, rules)
    assert [merged.difference, merged.low, merged.margin] == pytest.approx(
        [single.difference, single.low, single.margin], rel=1e-6, abs=1e-6
    )


def test_gross_harm_needs_more_than_the_margin_and_says_what_it_knows() -> None:
    random = np.random.default_rng(23)
    champion = random.exponential(0.5, 2_000)
    little, much = champion + random.normal(0.04, 0.1, 2_000), champion + random.normal(0.4, 0.5, 2_000)
    assert judge_gross(LossSums.of(champion, little), GrossRules()).finding is HarmFinding.NOT_TOLD
    # Without the margin, the same events would be harm.
    assert judge_gross(LossSums.of(champion, little), GrossRules(share=0.0)).finding is HarmFinding.HARM
    verdict = judge_gross(LossSums.of(champion[:200], much[:200]), GrossRules())
    assert verdict.finding is HarmFinding.HARM
    assert "200 labelled events" in verdict.sentence
    wide = GrossRules(block_deviation=0.2)
    assert judge_gross(LossSums.of(champion[:200], much[:200]), wide).margin == pytest.approx(0.6)
    assert judge_gross(LossSums.of(champion[:200], much[:200]), wide).finding is HarmFinding.NOT_TOLD
    assert judge_gross(LossSums(), GrossRules()).sentence == "not told: 0 of 100 labelled events"


def test_equal_versions_are_never_grossly_harmful_in_independent_events() -> None:
    differences = np.random.default_rng(24).normal(0, 0.3, (400, 2_000))
    looks = range(100, 2_001, 100)
    alarms = 0
    for run in differences:
        champion = np.full(2_000, 0.5)
        rules = GrossRules(alpha=0.05, share=0.0)
        alarms += any(
            judge_gross(LossSums.of(champion[:look], (champion + run)[:look]), rules).finding is HarmFinding.HARM
            for look in looks
        )
    assert alarms <= stats.binom.ppf(0.999, 400, 0.05)


@pytest.mark.parametrize(
    "rules", [{"alpha": 0.5}, {"share": -0.1}, {"block_deviation": -1.0}, {"fewest": 1}, {"expected": 0}], ids=str
)
def test_rules_for_which_there_is_no_test_are_refused(rules: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="gross harm needs"):
        GrossRules(**rules)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("champion", "candidate"),
    [pytest.param([0.1], [], id="not as many"), pytest.param([0.1], [math.inf], id="not finite")],
)
def test_losses_that_do_not_fit_are_refused(champion: list[float], candidate: list[float]) -> None:
    with pytest.raises(DataError):
        LossSums.of(np.array(champion), np.array(candidate, np.float64))
