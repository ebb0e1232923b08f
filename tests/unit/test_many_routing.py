"""The routing rule: every event goes to exactly one model or to none, and a registered name is claimed or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streaming.models.routing import RoutingRule
from streaming.settings import ModelsSettings, Settings
from tests.support.laws import examples

values = st.one_of(st.none(), st.text(max_size=4))
names = st.sets(st.text(min_size=1, max_size=8), max_size=4)


def rule(**route: Any) -> RoutingRule:
    listed = route.pop("list", [])
    return RoutingRule.from_settings(ModelsSettings.model_validate({"route": {"field": "t", **route}, "list": listed}))


RULES = [
    pytest.param(rule(model="a-{t}"), id="a pattern"),
    pytest.param(rule(model="a-{t}-z", default="all", unknown="default"), id="a pattern and a default"),
    pytest.param(rule(list=[{"value": "x", "model": "own"}, {"value": "", "model": "empty"}]), id="a list"),
    pytest.param(rule(model="{t}", list=[{"value": "x", "model": "own"}]), id="a list before a pattern"),
]


@pytest.mark.parametrize("by", RULES)
@examples(200)
@given(value=values, models=names)
def test_an_event_is_for_one_model_that_takes_part_or_for_the_default_or_for_none(
    by: RoutingRule, value: str | None, models: set[str]
) -> None:
    name = by.name(value, models)
    assert name in models or name == (by.default if by.unknown_to_default else None)
    assert name == by.name(value, models), "the same each time"
    if name is not None:
        assert by.claims(name)
        assert name.startswith(by.prefix)


@examples(200)
@given(value=st.text(min_size=1, max_size=6))
def test_a_model_of_the_pattern_is_reached_by_exactly_its_value(value: str) -> None:
    by = rule(model="churn-{t}.v")
    assert by.name(value, {f"churn-{value}.v"}) == f"churn-{value}.v"
    assert by.claims(f"churn-{value}.v")
    assert by.name(value, {f"churn-{value}x.v"}) is None


@pytest.mark.parametrize(
    ("value", "name"),
    [
        pytest.param("acme", "churn-acme", id="its own model"),
        pytest.param("big", "special", id="the listed model goes before the pattern"),
        pytest.param("none", "all", id="no model: the default"),
        pytest.param("", "all", id="an empty value has no model of the pattern"),
        pytest.param(None, "all", id="no value: the default"),
    ],
)
def test_a_value_leads_to_its_model(value: str | None, name: str) -> None:
    by = rule(model="churn-{t}", default="all", unknown="default", list=[{"value": "big", "model": "special"}])
    assert by.name(value, {"churn-acme", "churn-big", "special", "all", "churn-"}) == name


def test_names_of_other_models_are_not_claimed() -> None:
    by = rule(model="churn-{t}-eu")
    assert [by.claims(name) for name in ("churn-a-eu", "churn-a", "a-eu", "churn--eu", "churn-eu")] == [
        True, False, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("section", "message"),
    [
        pytest.param({"route": {"field": "t", "model": "churn"}}, "must have {t} once", id="no value in the pattern"),
        pytest.param({"route": {"field": "t", "model": "{t}{t}"}}, "must have {t} once", id="two values in it"),
        pytest.param({"route": {"field": "t"}}, "neither route.model nor a list", id="a field alone"),
        pytest.param({"list": [{"value": "a", "model": "b"}]}, "needs models.route.field", id="a list alone"),
        pytest.param(
            {"route": {"field": "t", "model": "{t}", "unknown": "default"}}, "set both or neither", id="no default"
        ),
        pytest.param(
            {"route": {"field": "t", "model": "{t}", "default": "d"}}, "set both or neither", id="an idle default"
        ),
        pytest.param(
            {"route": {"field": "t"}, "list": [{"value": "a", "model": "b"}, {"value": "a", "model": "c"}]},
            "a value twice",
            id="a value with two models",
        ),
    ],
)
def test_a_section_that_means_nothing_is_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelsSettings.model_validate(section)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"engine": {"kind": "live"}}, id="engine.kind"),
        pytest.param({"model": {"version": 3}}, id="model.version"),
        pytest.param({"model": {"stage": "Production"}}, id="model.stage"),
        pytest.param({"model": {"tag": "a=b"}}, id="model.tag"),
        pytest.param({"model": {"scorer": "spark"}}, id="model.scorer"),
        pytest.param({"model": {"recheck_one_in": 5}}, id="model.recheck_one_in"),
        pytest.param({"model": {"arm": {"version": 2, "share": 0.5, "salt": "s"}}}, id="model.arm"),
    ],
)
def test_settings_of_one_model_do_not_go_with_many(other: dict[str, Any], request: pytest.FixtureRequest) -> None:
    many = {"models": {"route": {"field": "t", "model": "{t}"}}}
    Settings.model_validate(many)
    with pytest.raises(ValidationError, match=f"{request.node.callspec.id} does not go with models.route"):
        Settings.model_validate({**many, **other})
