"""Events by chance for the columns of ``malformed.SIGNATURE``: valid ones, and what damage on the way makes of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.support.malformed import SIGNATURE, TOKENS

_TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\/\b\u2028é😀'), max_size=6)
_NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from([token for token in TOKENS.values() if token.strip("-")[:1].isdigit() and len(token) < 60]),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
_LEAVES = st.one_of(
    _NUMBERS,
    _TEXTS.map(json.dumps),
    _TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(["null", "true", "false"]),
)


def _array(items: list[str]) -> str:
    return f"[{','.join(items)}]"


def _object(items: list[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in items) + "}"


_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3).map(_array) | st.lists(st.tuples(_TEXTS, inner), max_size=3).map(_object),
    max_leaves=4,
)
_FITTING: dict[str, SearchStrategy[str]] = {
    "string": _TEXTS.map(json.dumps),
    "double": _NUMBERS,
    "float": _NUMBERS,
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "long": st.integers(-(2**63), 2**63 - 1).map(str),
    "boolean": st.sampled_from(["true", "false"]),
}
_TIMES = st.datetimes().map(lambda moment: json.dumps(moment.isoformat()))


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """An event that is valid more often than not: most fields fit, some do not, some are absent or strangers."""
    fields = [("event_id", _FITTING["string"] | _FITTING["long"]), ("event_time", _TIMES)]
    fields += [(column.name, _FITTING[column.type]) for column in SIGNATURE.columns]
    odd = draw(st.sampled_from([*[""] * 3 * len(fields), *(name for name, _ in fields)]))
    texts = [(name, draw(_VALUES if name == odd else tokens)) for name, tokens in fields]
    absent = draw(st.sampled_from(["", "", "", *(column.name for column in SIGNATURE.columns)]))
    texts = [(name, text) for name, text in texts if name != absent]
    texts += draw(st.lists(st.tuples(_TEXTS, _VALUES), max_size=2))
    space = draw(st.sampled_from(["", "", " ", "\n\t", "\r"]))
    return (space + _object(draw(st.permutations(texts))).replace(",", f",{space}") + space).encode()


_PIECES = [*(bytes([byte]) for byte in b'{}[],:"\\/0123456789.eE+-tfn \t\n\r\x00\x1f\x7f\x80\xc0\xff')]
_PIECES += [b"null", b"NaN", b'":"', b"\\u", b"\\ud800", b"\\u0000", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"//", b'"a":1,']


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An event after up to three changes: bytes flipped, put in, taken out, copied; or cut off."""
    value = bytearray(draw(events()))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(value)))
        length = draw(st.integers(0, 3))
        change = draw(st.sampled_from(["put in", "replace", "flip", "copy", "cut"]))
        if change == "put in":
            value[at:at] = draw(st.sampled_from(_PIECES))
        elif change == "replace":
            value[at : at + length] = draw(st.sampled_from(_PIECES))
        elif change == "flip" and at < len(value):
            value[at] ^= 1 << draw(st.integers(0, 7))
        elif change == "copy":
            value[at:at] = value[at : at + 8 * length]
        elif change == "cut":
            del value[at:]
    return bytes(value)


def drawn(strategy: SearchStrategy[Any], count: int, number: int = 0) -> list[Any]:
    """Return ``count`` values of a strategy, the same for the same ``number``.

    A Spark job for each would take hours; so they are all drawn first and judged by one job.
    """
    result: list[Any] = []
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

    @seed(number)
    @settings(max_examples=count, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=quiet)
    @given(strategy)
    def collect(value: Any) -> None:
        result.append(value)

    collect()
    return result
