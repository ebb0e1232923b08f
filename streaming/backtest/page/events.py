"""The section with the largest disagreements: each event, what either side said of it, and the event itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

from streaming.backtest.comparison import Comparison
from streaming.backtest.disagreements import Disagreement, SideAnswer
from streaming.backtest.page.marks import two_scores
from streaming.backtest.page.parts import key
from streaming.page.markup import Child, Element, tag
from streaming.page.parts import section
from streaming.words import number, plural

_MOST_CHARACTERS = 4_096
_SEPARATORS = ((",", ":"), (", ", ": "))


def disagreements(comparison: Comparison) -> Element | None:
    """Return the section; nothing if both sides always say the same."""
    disagreed = comparison.disagreements
    if not disagreed:
        return None
    lead = (
        f"These are the {plural(len(disagreed), 'event')} with the largest difference. Open one to see the event. If"
        " they are of one kind, look at that kind before and after a promotion."
    )
    shown = [_event(number + 1, disagreement, comparison) for number, disagreement in enumerate(disagreed)]
    return section("Largest disagreements", tag("p", lead), tag("div", shown, class_="events"))


def _event(number: int, disagreement: Disagreement, comparison: Comparison) -> Element:
    recorded, candidate = disagreement.recorded.score, disagreement.candidate.score
    scores = None
    if comparison.positive and recorded is not None and candidate is not None:
        scores = two_scores(recorded, candidate)
    answers = [_answer_text(answer, comparison) for answer in (disagreement.recorded, disagreement.candidate)]
    summary = tag(
        "summary",
        tag("span", f"{number}"),
        tag("b", disagreement.event_id or f"{disagreement.partition}:{disagreement.offset}"),
        tag("span", scores),
        tag("span", key("recorded", answers[0]), " → ", key("candidate", answers[1])),
        tag("span", f"true: {_short(disagreement.truth, comparison)}" if disagreement.truth else ""),
    )
    facts = [(tag("dt", name), tag("dd", value)) for name, value in _facts(disagreement, comparison)]
    return tag("details", summary, tag("dl", facts), _value(disagreement))


def _facts(disagreement: Disagreement, comparison: Comparison) -> Iterator[tuple[str, Child]]:
    yield "position", f"partition {disagreement.partition}, offset {disagreement.offset}"
    if disagreement.event_time:
        yield "event time", disagreement.event_time
    for side, answer in (("recorded", disagreement.recorded), ("candidate", disagreement.candidate)):
        score = ""
        if comparison.shift is not None and answer.score is not None:
            score = f", {comparison.shift.what} {number(answer.score)}"
        version = f", version {answer.model_version}" if answer.model_version is not None else ""
        yield side, f"{answer.prediction}{score}{version}"
    if disagreement.truth:
        yield "true", disagreement.truth


def _answer_text(answer: SideAnswer, comparison: Comparison) -> str:
    text = _short(answer.prediction, comparison)
    return text if answer.score is None else f"{text} ({answer.score:.3f})"


def _short(text: str, comparison: Comparison) -> str:
    """A class is a name; a number has more digits than anybody reads."""
    return text if comparison.classes else f"{float(text):,.6g}"


def _value(disagreement: Disagreement) -> Element:
    if disagreement.value is None and disagreement.value_base64 is None:
        return tag("p", "The event's value was not kept.", class_="soft")
    if disagreement.value is None:
        return tag("pre", f"not UTF-8; in base64:\n{disagreement.value_base64}"[:_MOST_CHARACTERS])
    text = pretty(disagreement.value)
    cut = f"\n... of {len(text):,} characters; report.json has all" if len(text) > _MOST_CHARACTERS else ""
    return tag("pre", text[:_MOST_CHARACTERS] + cut)


def pretty(text: str) -> str:
    r"""Return JSON with a line for each member, if nothing but its spaces change by that; else the text as it is.

    >>> pretty('{"a":1}'), pretty('{"a":1.50}')
    ('{\n "a": 1\n}', '{"a":1.50}')
    """
    try:
        parsed = json.loads(text)
        same = any(json.dumps(parsed, ensure_ascii=False, separators=pair) == text for pair in _SEPARATORS)
    except (ValueError, RecursionError):
        return text
    return json.dumps(parsed, ensure_ascii=False, indent=1) if same else text
